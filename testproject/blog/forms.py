from django import forms

from testproject.blog.models import Comment


class CommentForm(forms.ModelForm):
    class Meta:
        model = Comment
        fields = ("name", "text")
        widgets = {"text": forms.Textarea(attrs={"rows": 6})}
