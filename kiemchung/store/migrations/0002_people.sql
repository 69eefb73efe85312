-- What people write. The batch never touches these tables.

CREATE TABLE account (
    account_key BIGINT NOT NULL,
    name VARCHAR NOT NULL CHECK (regexp_full_match(name, '[a-z0-9][a-z0-9._-]{0,39}')),
    role VARCHAR NOT NULL CHECK (role IN ('reader', 'reviewer', 'adjudicator', 'admin')),
    password_hash VARCHAR NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
    must_change BOOLEAN NOT NULL,
    failures BIGINT NOT NULL CHECK (failures >= 0),
    locked_until TIMESTAMPTZ,
    active BOOLEAN NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    changed_at TIMESTAMPTZ -- when its owner last chose the password; NULL: never yet
);

-- The token itself lies in the browser only.
CREATE TABLE session (
    token_sha256 VARCHAR NOT NULL CHECK (length(token_sha256) = 64),
    account_key BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    revoked_at TIMESTAMPTZ
);

-- The first, blind conclusion: after it the suggestion is shown, and it cannot be made again.
CREATE TABLE blind_choice (
    choice_key BIGINT NOT NULL,
    mention_key BIGINT NOT NULL,
    judgement_key BIGINT, -- NULL: the mention had not been judged
    account_key BIGINT NOT NULL,
    decision VARCHAR NOT NULL CHECK (
        decision IN ('REFUTED', 'SUPPORTED', 'NOT_ENOUGH_INFO', 'CONFLICTING', 'UNCHECKABLE')
    ),
    distortions VARCHAR[] NOT NULL,
    cited_passages VARCHAR[] NOT NULL,
    note VARCHAR NOT NULL,
    seconds DOUBLE NOT NULL CHECK (seconds >= 0),
    form_token VARCHAR NOT NULL,
    chosen_at TIMESTAMPTZ NOT NULL
);

-- Append-only: an undo is a new row that names the old one.
CREATE TABLE review (
    review_key BIGINT NOT NULL,
    mention_key BIGINT NOT NULL,
    judgement_key BIGINT,
    account_key BIGINT NOT NULL,
    decision VARCHAR NOT NULL CHECK (
        decision IN (
            'REFUTED', 'SUPPORTED', 'NOT_ENOUGH_INFO', 'CONFLICTING', 'UNCHECKABLE', 'SKIPPED'
        )
    ),
    decision_before_model VARCHAR CHECK (
        decision_before_model IN (
            'REFUTED', 'SUPPORTED', 'NOT_ENOUGH_INFO', 'CONFLICTING', 'UNCHECKABLE'
        )
    ),
    shown_model BOOLEAN NOT NULL,
    distortions VARCHAR[] NOT NULL,
    cited_passages VARCHAR[] NOT NULL,
    note VARCHAR NOT NULL,
    seconds DOUBLE NOT NULL CHECK (seconds >= 0),
    opened_from VARCHAR NOT NULL, -- which list the item was opened from: some lists are not blind
    selected_as VARCHAR NOT NULL CHECK (selected_as IN ('flag', 'sample', 'none')),
    probability DOUBLE, -- with which it had been selected; NULL where it was not
    form_token VARCHAR NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    undoes BIGINT,
    CHECK (undoes IS NOT NULL OR decision <> 'REFUTED' OR len(cited_passages) > 0),
    CHECK (undoes IS NULL OR undoes < review_key)
);

CREATE TABLE audit (
    audit_key BIGINT NOT NULL,
    account_key BIGINT, -- NULL: the command line, or nobody known
    action VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    noted_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE setting (
    name VARCHAR NOT NULL,
    content VARCHAR NOT NULL
);

CREATE TABLE correction (
    correction_key BIGINT NOT NULL,
    mention_key BIGINT NOT NULL,
    request VARCHAR NOT NULL,
    received_at TIMESTAMPTZ NOT NULL,
    outcome VARCHAR NOT NULL,
    resolved_at TIMESTAMPTZ,
    public_note VARCHAR NOT NULL
);

CREATE VIEW standing_review AS
SELECT r.*
FROM review AS r
WHERE
    r.undoes IS NULL
    AND NOT EXISTS (SELECT 1 FROM review AS u WHERE u.undoes = r.review_key);

-- Latest not undone; somebody's "skipped" never covers somebody else's conclusion.
CREATE VIEW current_review AS
SELECT *
FROM standing_review
QUALIFY
    row_number() OVER (
        PARTITION BY mention_key
        ORDER BY (decision = 'SKIPPED')::INTEGER, review_key DESC
    ) = 1;

CREATE VIEW anchoring AS
SELECT
    count(*) AS n,
    avg((decision <> decision_before_model)::INTEGER) AS moved
FROM standing_review
WHERE decision_before_model IS NOT NULL AND shown_model AND decision <> 'SKIPPED';
