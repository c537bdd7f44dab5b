"""``python -m app.cli`` is ``keyhouse``."""

from app.cli import main

main()
