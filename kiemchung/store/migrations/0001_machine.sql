-- What the weekly batch writes. Keys are ascending BIGINT without index, PRIMARY KEY or UNIQUE: on
-- big tables those slow a merge fourfold, and zone maps find an ascending key in a millisecond.
-- Uniqueness is kept by anti-join and checked by kiemchung.store.checks.
-- Every CHECK is written so that NULL cannot slip through it.
-- No table holds a score for a person or an outlet, on purpose.

CREATE TABLE run (
    run_key BIGINT NOT NULL,
    run_id VARCHAR NOT NULL CHECK (run_id <> ''),
    week VARCHAR NOT NULL CHECK (regexp_full_match(week, '[0-9]{4}-W[0-9]{2}')),
    outlets VARCHAR NOT NULL CHECK (json_valid(outlets)),
    config_sha256 VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    base_version VARCHAR NOT NULL,
    model_id VARCHAR NOT NULL,
    accounting VARCHAR NOT NULL CHECK (json_valid(accounting)),
    alarms VARCHAR NOT NULL CHECK (json_valid(alarms)),
    articles BIGINT NOT NULL CHECK (articles >= 0),
    mentions BIGINT NOT NULL CHECK (mentions >= 0),
    judgements BIGINT NOT NULL CHECK (judgements >= 0),
    merged_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE article (
    article_key BIGINT NOT NULL,
    article_id VARCHAR NOT NULL CHECK (article_id <> ''),
    outlet VARCHAR NOT NULL,
    url VARCHAR NOT NULL,
    canonical_url VARCHAR NOT NULL,
    title VARCHAR NOT NULL,
    lead VARCHAR NOT NULL,
    body VARCHAR NOT NULL,
    published_at TIMESTAMPTZ, -- NULL is "unknown", never "now"
    published_method VARCHAR NOT NULL,
    fetched_at TIMESTAMPTZ NOT NULL,
    raw_sha256 VARCHAR NOT NULL,
    title_method VARCHAR NOT NULL,
    lead_method VARCHAR NOT NULL,
    body_method VARCHAR NOT NULL,
    noarchive BOOLEAN NOT NULL,
    about_cooperatives BOOLEAN NOT NULL,
    topic_reason VARCHAR NOT NULL,
    story_id VARCHAR NOT NULL,
    copied_from VARCHAR NOT NULL
);

CREATE TABLE mention (
    mention_key BIGINT NOT NULL,
    mention_id VARCHAR NOT NULL CHECK (mention_id <> ''),
    article_key BIGINT NOT NULL,
    claim_id VARCHAR NOT NULL CHECK (claim_id <> ''),
    start_char BIGINT NOT NULL,
    end_char BIGINT NOT NULL,
    text VARCHAR NOT NULL,
    checkability VARCHAR NOT NULL CHECK (
        checkability IN ('CHECKABLE', 'OPINION', 'FORECAST', 'EXPERIENCE', 'UNDERSPECIFIED')
    ),
    check_worthiness DOUBLE NOT NULL,
    speech VARCHAR NOT NULL CHECK (
        speech IN ('own_voice', 'direct_quote', 'indirect_quote', 'headline', 'rebuttal')
    ),
    as_of DATE NOT NULL,
    as_of_method VARCHAR NOT NULL CHECK (
        as_of_method IN ('publication', 'named_date', 'named_law', 'unknown')
    ),
    CHECK (start_char >= 0 AND end_char > start_char)
);

CREATE TABLE document (
    document_key BIGINT NOT NULL,
    doc_id VARCHAR NOT NULL CHECK (doc_id <> ''),
    number VARCHAR NOT NULL,
    title VARCHAR NOT NULL,
    short_names VARCHAR NOT NULL CHECK (json_valid(short_names)),
    kind VARCHAR NOT NULL,
    publisher VARCHAR NOT NULL,
    issued DATE,
    valid_from DATE NOT NULL,
    valid_to DATE, -- first day on which it no longer holds
    url VARCHAR NOT NULL,
    snapshot_as_of DATE NOT NULL,
    CHECK (valid_to IS NULL OR valid_to > valid_from)
);

-- One row for each wording: a corrected passage is a new row, so that a flag keeps what was shown.
CREATE TABLE passage (
    passage_key BIGINT NOT NULL,
    passage_id VARCHAR NOT NULL CHECK (passage_id <> ''),
    sha256 VARCHAR NOT NULL CHECK (length(sha256) = 64),
    doc_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL CHECK (kind IN ('statute', 'statistic')),
    locator VARCHAR NOT NULL,
    text VARCHAR NOT NULL,
    citation VARCHAR NOT NULL,
    valid_from DATE NOT NULL,
    valid_to DATE,
    url VARCHAR NOT NULL,
    topic VARCHAR NOT NULL,
    cues VARCHAR NOT NULL CHECK (json_valid(cues)),
    excludes VARCHAR NOT NULL CHECK (json_valid(excludes)),
    conditions VARCHAR NOT NULL CHECK (json_valid(conditions)),
    supersedes VARCHAR NOT NULL,
    series VARCHAR NOT NULL,
    unit VARCHAR NOT NULL,
    as_of DATE,
    checked VARCHAR NOT NULL,
    CHECK (valid_to IS NULL OR valid_to > valid_from)
);

-- content_sha256 covers all but the run: the same judgement may be part of several runs.
CREATE TABLE judgement (
    judgement_key BIGINT NOT NULL,
    judgement_id VARCHAR NOT NULL CHECK (judgement_id <> ''),
    content_sha256 VARCHAR NOT NULL CHECK (length(content_sha256) = 64),
    evidence_sha256 VARCHAR NOT NULL, -- hash of the on-point passages, whatever their order
    mention_key BIGINT NOT NULL,
    model_id VARCHAR NOT NULL,
    base_version VARCHAR NOT NULL,
    threshold DOUBLE NOT NULL,
    status VARCHAR NOT NULL CHECK (status IN ('ok', 'abstained', 'failed')),
    label VARCHAR CHECK (label IN ('SUPPORTED', 'REFUTED', 'NOT_ENOUGH_INFO', 'CONFLICTING')),
    nei_reason VARCHAR CHECK (
        nei_reason IN ('not_found', 'not_in_force', 'insufficient', 'other_series')
    ),
    p_supported DOUBLE,
    p_refuted DOUBLE,
    p_nei DOUBLE,
    flagged BOOLEAN NOT NULL,
    error VARCHAR NOT NULL,
    CHECK ((status = 'ok') = (label IS NOT NULL)),
    CHECK (
        status <> 'ok'
        OR (
            p_supported IS NOT NULL AND p_refuted IS NOT NULL AND p_nei IS NOT NULL
            AND abs(p_supported + p_refuted + p_nei - 1) <= 0.001
        )
    ),
    CHECK (NOT flagged OR label IS NOT DISTINCT FROM 'REFUTED'),
    CHECK ((status = 'failed') = (error <> ''))
);

CREATE TABLE judgement_evidence (
    judgement_key BIGINT NOT NULL,
    rank BIGINT NOT NULL,
    passage_key BIGINT NOT NULL,
    score DOUBLE NOT NULL,
    on_point BOOLEAN NOT NULL
);

CREATE TABLE judgement_difference (
    judgement_key BIGINT NOT NULL,
    ordinal BIGINT NOT NULL,
    kind VARCHAR NOT NULL CHECK (
        kind IN (
            'number', 'date', 'actor', 'negation', 'condition_dropped', 'exaggeration',
            'merge_split', 'out_of_context', 'wrong_source', 'law_expired'
        )
    ),
    claim VARCHAR NOT NULL,
    evidence VARCHAR NOT NULL,
    start_char BIGINT NOT NULL, -- -1: missing from the claim, so it has no place there
    end_char BIGINT NOT NULL,
    CHECK ((start_char = -1 AND end_char = -1) OR (start_char >= 0 AND end_char > start_char))
);

-- What belongs to which run; replaced whole when a run is merged again.
CREATE TABLE run_article (run_key BIGINT NOT NULL, article_key BIGINT NOT NULL);
CREATE TABLE run_mention (run_key BIGINT NOT NULL, mention_key BIGINT NOT NULL);
CREATE TABLE run_judgement (
    run_key BIGINT NOT NULL,
    mention_key BIGINT NOT NULL,
    judgement_key BIGINT NOT NULL
);

-- Who was put before a reviewer and with which probability: the base of every unbiased estimate.
CREATE TABLE selection (
    run_key BIGINT NOT NULL,
    mention_key BIGINT NOT NULL,
    reason VARCHAR NOT NULL CHECK (reason IN ('flag', 'sample')),
    probability DOUBLE NOT NULL CHECK (probability > 0 AND probability <= 1)
);

-- The latest run that judged a mention has the word; earlier judgements stay readable.
CREATE VIEW current_judgement AS
SELECT
    mention_key,
    max(run_key) AS run_key,
    arg_max(judgement_key, run_key) AS judgement_key
FROM run_judgement
GROUP BY mention_key;

CREATE VIEW canonical_claim AS
SELECT
    m.claim_id,
    arg_min(m.text, m.mention_key) AS text,
    count(*) AS mentions,
    count(DISTINCT a.story_id) AS stories,
    count(DISTINCT a.outlet) AS outlets,
    min(a.published_at) AS first_published,
    max(a.published_at) AS last_published
FROM mention AS m
INNER JOIN article AS a ON a.article_key = m.article_key
GROUP BY m.claim_id;
