CREATE SCHEMA jm;
CREATE TABLE jm.jobs (
  service text, name text, state text NOT NULL, version bigint NOT NULL, payload json, PRIMARY KEY (service, name)
);
INSERT INTO jm.jobs SELECT 'billing', 'job-' || i, 'queued', 1, json_build_object('retries', i % 3) FROM generate_series(1, 200) i;

CREATE ROLE job_manager LOGIN PASSWORD 'job-manager';
GRANT USAGE ON SCHEMA jm TO job_manager;
GRANT SELECT, INSERT, UPDATE, DELETE ON jm.jobs TO job_manager;

-- keyferry's own: to read, to be told of changes by triggers, and to write on the way back.
CREATE ROLE keyferry LOGIN PASSWORD 'store2-pass';
GRANT USAGE ON SCHEMA jm TO keyferry;
GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON jm.jobs TO keyferry;
CREATE SCHEMA keyferry AUTHORIZATION keyferry;
