from report_fakes import out_folder  # noqa: F401
