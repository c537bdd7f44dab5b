"""The measuring tools, tried on short runs."""
