"""The schema's history (Alembic), packaged and run by `adapters.store.database`; no alembic.ini is needed."""
