"""From the bytes of a logger's file to batches of readings. Knows no database and no Flask.

`file_reader` joins the rest: `unpack` opens compressed bytes, `lines` cuts them into blocks of whole lines, `detect`
finds the `layout` from the first of them, and `delimited` turns each block into a `batch`: series of readings and a
list of what could not be read.

Behind `detect`: `header` (names, units, zone), `roles` (what each column is for), `date_order` (day from month) and
`refuse` (what is no table of readings, in words). Behind `delimited`: `rows` (line by line), `cells` (numbers, marks
for missing ones, names), `sensors` (narrow files), `times` and `zones`.
"""
