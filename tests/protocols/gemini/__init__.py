"""Tests of the room for Google's generateContent API."""
