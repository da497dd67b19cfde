-- The procedures of a service ($2) are those of a fingerprint ($1) now.
UPDATE os.version SET procedures = $1, installed_at = now() WHERE service = $2
