"""The admin area's mechanism: a table describes itself once, and lists, forms, deleting and actions follow from that.

docs/admin.md shows how a table gets its pages.
"""
