"""One kind of degradation per file: its fields, ranges, formula and share of the severity.

A file holds a frozen dataclass of the kind's fields and, as `KIND`, all that the rest of the
package asks of it. `registry.py` lists the files.
"""
