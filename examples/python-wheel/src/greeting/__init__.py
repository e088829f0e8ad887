"""Greets, in a few languages."""

WORDS = {"en": "hello", "de": "hallo", "fi": "hei"}


def greet(name, language="en"):
    return f"{WORDS[language]}, {name}"
