-- What is installed.
SELECT service, version, procedures FROM os.version
