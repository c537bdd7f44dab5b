"""The tests, floor by floor as in `app/`."""
