"""How results are shown: tables, sentences and bars for a terminal. Nothing here reads or writes anything."""
