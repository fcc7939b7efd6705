"""A simulated world for jobs: hosts, processes, a network and a store, under one seeded clock."""
