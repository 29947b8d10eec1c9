"""What an HTTP cache decides, as pure functions.

Nothing here imports Django, does I/O or reads a clock: a time is an argument, in Unix seconds. Header fields are parsed
once into typed values that are then asked questions, and nothing that a view or a client sends raises. What is in
doubt is neither stored nor served.
"""
