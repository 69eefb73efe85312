-- What a page's owner asked for, and how each outlet did in a run. Tables of their own: with an
-- ALTER of a table that has a CHECK, a process killed before the checkpoint leaves a file that
-- DuckDB 1.5 cannot open again.

CREATE TABLE article_opt_out (
    article_key BIGINT NOT NULL,
    opt_out VARCHAR NOT NULL CHECK (
        opt_out IN ('noai', 'noarchive', 'noimageai', 'nosnippet', 'tdm')
    )
);

CREATE TABLE run_health (
    run_key BIGINT NOT NULL,
    health VARCHAR NOT NULL CHECK (json_valid(health))
);
