"""The signals of cacheplus. Receivers run where the event happened: keep them short, and never let them raise.

All of them are sent with `send_robust`, so that a receiver that fails costs no page; Django logs its exception.
"""

from __future__ import annotations

from django.dispatch import Signal

# A page went into the store. sender: the class that stored it. request, alias, tags (a tuple of names), ttl (seconds,
# None = until it is expired).
page_stored = Signal()

# A request was answered from the store. sender: the class that served it. request, alias, age (seconds since stored).
page_served = Signal()

# Tags were expired on one alias. sender: the backend's class. alias, tags (a tuple of names).
tags_expired = Signal()

# A store failed. sender: the backend's class. alias, operation (the name of the primitive, such as "read"), error.
cache_error = Signal()
