"""Second looks at a finished job: are its files what its rows say, and how do they measure now?"""
