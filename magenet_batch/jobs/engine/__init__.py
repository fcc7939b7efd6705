"""The engine: gives work to workers, local or on Ray, and retries what failed with them."""
