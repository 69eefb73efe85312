-- Several people at one queue: leases, planned double review, adjudication, setting back, filters,
-- and what an administrator changed. Tables of their own: with an ALTER of a table that has a
-- CHECK, a process killed before the checkpoint leaves a file that DuckDB 1.5 cannot open again.
-- No table holds a score for a person; agreement is worked out when it is shown.

-- Who has a claim open. Rewritten at will: what counts is in memory, this outlives a restart.
CREATE TABLE lease (
    claim_id VARCHAR NOT NULL CHECK (claim_id <> ''),
    account_key BIGINT NOT NULL,
    until TIMESTAMPTZ NOT NULL
);

-- Which mentions two people conclude independently, drawn by the hash of their claim.
CREATE TABLE double_review (
    mention_key BIGINT NOT NULL,
    claim_id VARCHAR NOT NULL CHECK (claim_id <> ''),
    probability DOUBLE NOT NULL CHECK (probability > 0 AND probability <= 1),
    drawn_at TIMESTAMPTZ NOT NULL
);

-- The review that settles a disagreement, and why the reviewers disagreed. Append-only.
CREATE TABLE adjudication (
    adjudication_key BIGINT NOT NULL,
    review_key BIGINT NOT NULL,
    mention_key BIGINT NOT NULL,
    cause VARCHAR NOT NULL CHECK (
        cause IN ('other_reading', 'other_day', 'vague_claim', 'slip', 'evidence_missing', 'other')
    ),
    reason VARCHAR NOT NULL,
    between_reviews BIGINT[] NOT NULL CHECK (len(between_reviews) >= 2),
    adjudicated_at TIMESTAMPTZ NOT NULL
);

-- A conclusion that no longer counts, and why: its evidence was replaced, or it was withdrawn.
CREATE TABLE reopening (
    reopening_key BIGINT NOT NULL,
    review_key BIGINT NOT NULL,
    mention_key BIGINT NOT NULL,
    cause VARCHAR NOT NULL CHECK (cause IN ('evidence_replaced', 'withdrawn')),
    reason VARCHAR NOT NULL CHECK (reason <> ''),
    account_key BIGINT, -- NULL: the program, after a change of the reference base
    reopened_at TIMESTAMPTZ NOT NULL,
    CHECK (cause <> 'withdrawn' OR account_key IS NOT NULL)
);

-- Which part of the queue somebody wants to see, kept under a name; at most one is in use.
CREATE TABLE saved_filter (
    filter_key BIGINT NOT NULL,
    account_key BIGINT NOT NULL,
    name VARCHAR NOT NULL CHECK (name <> ''),
    content VARCHAR NOT NULL CHECK (json_valid(content)),
    in_use BOOLEAN NOT NULL,
    saved_at TIMESTAMPTZ NOT NULL
);

-- Before and after of an act in the audit table, where it has them.
CREATE TABLE audit_change (
    audit_key BIGINT NOT NULL,
    before VARCHAR NOT NULL,
    after VARCHAR NOT NULL
);

CREATE OR REPLACE VIEW standing_review AS
SELECT r.*
FROM review AS r
WHERE
    r.undoes IS NULL
    AND NOT EXISTS (SELECT 1 FROM review AS u WHERE u.undoes = r.review_key)
    AND NOT EXISTS (
        SELECT 1 FROM reopening AS o
        WHERE o.review_key = r.review_key AND o.cause = 'withdrawn'
    );

-- What everybody's latest conclusion is, as far as its evidence still stands.
CREATE VIEW counting_review AS
SELECT s.*
FROM standing_review AS s
WHERE NOT EXISTS (SELECT 1 FROM reopening AS o WHERE o.review_key = s.review_key)
QUALIFY
    row_number() OVER (
        PARTITION BY s.mention_key, s.account_key
        ORDER BY (s.decision = 'SKIPPED')::INTEGER, s.review_key DESC
    ) = 1;

-- Where a mention stands: how many concluded, whether they agree, whether it is settled.
CREATE VIEW mention_standing AS
SELECT
    c.mention_key,
    count(*) AS conclusions,
    count(DISTINCT c.decision) AS decisions,
    max(a.review_key) AS adjudicated_by,
    max(d.mention_key) IS NOT NULL AS doubled
FROM counting_review AS c
LEFT JOIN adjudication AS a ON a.review_key = c.review_key
LEFT JOIN (SELECT DISTINCT mention_key FROM double_review) AS d ON d.mention_key = c.mention_key
WHERE c.decision <> 'SKIPPED'
GROUP BY c.mention_key;

-- The conclusion that counts. Two who disagree have none until it is adjudicated, and a planned
-- double review has none until the second has concluded: so nobody can read the first one anywhere.
-- Somebody's "skipped" never covers somebody else's conclusion.
CREATE OR REPLACE VIEW current_review AS
SELECT c.*
FROM counting_review AS c
LEFT JOIN mention_standing AS s ON s.mention_key = c.mention_key
WHERE
    CASE
        WHEN s.mention_key IS NULL THEN true -- skipped only
        WHEN s.adjudicated_by IS NOT NULL THEN c.review_key = s.adjudicated_by
        WHEN s.decisions > 1 OR (s.doubled AND s.conclusions < 2) THEN false
        ELSE c.decision <> 'SKIPPED'
    END
QUALIFY
    row_number() OVER (PARTITION BY c.mention_key ORDER BY c.review_key DESC) = 1;

CREATE VIEW disputed AS
SELECT mention_key
FROM mention_standing
WHERE decisions > 1 AND adjudicated_by IS NULL;
