"""The conversation, pure: (what is known, what was said) -> (replies, effects). No I/O, no clock, no database.

`grammar.parse` says what a text means; `conversation.wants` which sums an answer needs; `conversation.answer` answers.
"""
