"""Everything of Daybook that works without a web request."""
