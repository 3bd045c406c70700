"""WARC in and out: every response as it was fetched."""
