-- What the desk keeps beside a conclusion, what a person prefers, and an index of the claims' words.
-- New tables only: see 0003. None of them is needed to read an older conclusion.

-- The smallest correction: how the claim would have to read, "7 -> 5 từ 1/7/2024".
CREATE TABLE choice_correction (choice_key BIGINT NOT NULL, correction VARCHAR NOT NULL);
CREATE TABLE review_correction (review_key BIGINT NOT NULL, correction VARCHAR NOT NULL);

-- The copies that a blind choice leaves out, so that the second look finds them unticked.
CREATE TABLE choice_exception (choice_key BIGINT NOT NULL, mention_key BIGINT NOT NULL);

-- The wording that was cited, which later wordings of the same passage do not change; ``own`` is
-- one that the reviewer found and the machine had not shown.
CREATE TABLE review_citation (
    review_key BIGINT NOT NULL,
    passage_key BIGINT NOT NULL,
    own BOOLEAN NOT NULL
);

-- The copies of the claim that stood before the reviewer: covered by the conclusion, or left out of
-- it and so still waiting. An undo needs no row here: these count while their review stands.
CREATE TABLE review_copy (
    review_key BIGINT NOT NULL,
    mention_key BIGINT NOT NULL,
    covered BOOLEAN NOT NULL
);

-- Append-only: the latest row of a name has the word.
CREATE TABLE preference (
    preference_key BIGINT NOT NULL,
    account_key BIGINT NOT NULL,
    name VARCHAR NOT NULL,
    content VARCHAR NOT NULL CHECK (json_valid(content)),
    set_at TIMESTAMPTZ NOT NULL
);

-- The claims' words in lower case without accents, between single blanks. Derived from `mention` by
-- kiemchung.store.search, which goes on behind the highest key here.
CREATE TABLE search_claim (mention_key BIGINT NOT NULL, folded VARCHAR NOT NULL);
CREATE TABLE search_term (term_key BIGINT NOT NULL, term VARCHAR NOT NULL);
-- Sorted by term within each stretch of mentions, so that zone maps find a term without an index.
CREATE TABLE search_posting (term_key BIGINT NOT NULL, mention_key BIGINT NOT NULL);
CREATE TABLE search_count (term_key BIGINT NOT NULL, mentions BIGINT NOT NULL);

-- Which conclusion holds for a mention: its own, else the latest that covers it as a copy.
CREATE VIEW decided_mention AS
WITH own AS (
    SELECT mention_key, decision, review_key, account_key
    FROM current_review
    WHERE decision <> 'SKIPPED'
),
covered AS (
    SELECT c.mention_key, r.decision, r.review_key, r.account_key
    FROM review_copy AS c
    INNER JOIN own AS r ON r.review_key = c.review_key
    WHERE c.covered
    QUALIFY row_number() OVER (PARTITION BY c.mention_key ORDER BY c.review_key DESC) = 1
)
SELECT mention_key, decision, review_key, account_key, false AS as_copy FROM own
UNION ALL
SELECT mention_key, decision, review_key, account_key, true AS as_copy
FROM covered
WHERE mention_key NOT IN (SELECT mention_key FROM own);
