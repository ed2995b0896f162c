"""Revision 0001 by subject: its tables, and the triggers that guard them. Frozen: never edited after a release."""
