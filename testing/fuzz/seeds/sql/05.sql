CREATE TABLE w (a int PRIMARY KEY CHECK (a > 0), b text DEFAULT upper('x') COLLATE "C")
