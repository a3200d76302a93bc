"""Assets for ``schedule=``: a DAG starts when something has come."""
