"""One kind of degradation per file: fields, ranges, formula and contribution to the severity.

A file holds a frozen dataclass with the fields of the kind and, as `KIND`, everything else that the
package needs to know about it. `registry.py` lists the files.
"""
