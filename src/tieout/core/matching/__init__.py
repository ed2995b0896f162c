"""Matching money: from the current records of two or more sides to matches, open items and a proof, as one plan.

columns   the datasets that a run reads and writes
opening   what a run takes over from the closed one, and what has changed since
keyed     the keyed passes: exact and grouped
labels    why an item stayed open: the code of its break
proof     totals per side and currency, and the order-free result hash
plan      all of it in order
"""
