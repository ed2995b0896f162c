"""The control plane's rows: tables, the database behind them, and its migrations. No business rule lives here."""
