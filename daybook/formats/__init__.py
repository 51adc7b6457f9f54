"""From the bytes of a logger's file to batches of readings. Knows no database and no Flask.

`file_reader` joins the rest: `unpack` opens compressed bytes, `lines` cuts them into blocks of whole lines, `detect`
finds the `layout` from the first of them (`date_order` tells day from month), and `delimited` turns each block into
series of readings and a list of what could not be read, with the help of `times`.
"""
