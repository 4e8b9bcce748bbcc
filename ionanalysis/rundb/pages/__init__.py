"""The run pages: what people see of the run database in a browser, made on the server."""
