"""The database: its tables, its connections, and one module of statements per resource."""
