"""From rows to numbers: what a report knows of a job."""
