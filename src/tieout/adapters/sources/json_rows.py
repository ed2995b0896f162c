"""Generic JSON: an array of objects, one object a line (JSON Lines), or an object that holds one list of rows.

Rows are parsed strictly (a duplicate key, NaN or Infinity rejects the row; numbers keep their exact text), nested
objects become columns with dotted names, and the table goes the way of CSV (tabular). `line` is the line of JSON
Lines and the ordinal in a list. Stripe's own objects are another source's.

Settings: rows (the key that holds the list, where there are several), date_order, decimal, thousands.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from tieout.adapters.sources.csv_encoding import (
    OwnedParameters,
    detect_encoding,
    temporary_file,
    transcode,
)
from tieout.adapters.sources.json_values import JsonFault, ListReader, parse_row
from tieout.adapters.sources.tabular import Table, check_settings, plan_drafts
from tieout.adapters.sources.tabular_mapping import TableColumn
from tieout.model.errors import InputError, Place
from tieout.model.reading import DraftQuery, Reading, SourceOptions
from tieout.model.record import Rejection
