-- Whether there is a user of this name.
SELECT count(*) AS users FROM os.user WHERE user_name = $1
