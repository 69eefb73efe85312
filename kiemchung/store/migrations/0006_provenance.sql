-- What every judgement of a run was made with: code, extractor, model, outlet files, packages. Once
-- for each run, because the judgements are millions and the facts the same. A table of its own: see
-- 0003. Runs merged before have no row here.

CREATE TABLE run_provenance (
    run_key BIGINT NOT NULL,
    provenance VARCHAR NOT NULL CHECK (json_valid(provenance))
);
