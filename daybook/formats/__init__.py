"""From the bytes of a logger's file to batches of readings. Knows no database and no Flask.

`file_reader` joins the rest: `kinds` tells what the bytes are and turns them into lines, `lines` cuts those into blocks
of whole lines, `detect` finds the `layout` from the first of them and from what is `given`, and `delimited` turns each
block into a `batch`: series of readings and a list of what could not be read. `preview` shows all that to a person.

docs/architecture.md lists every module.
"""
