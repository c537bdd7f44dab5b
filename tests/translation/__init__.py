"""From every client protocol to every host protocol and back: what is the same, and what is lost."""
