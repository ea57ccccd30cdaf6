CREATE TABLE access_group ( id INTEGER NOT NULL, name TEXT NOT NULL, description TEXT, is_system BIGINT
DEFAULT '0' NOT NULL, created_at BIGINT NOT NULL, PRIMARY KEY (id) );
CREATE TABLE audit ( id INTEGER NOT NULL, timestamp BIGINT NOT NULL, operation TEXT NOT NULL, principal TEXT
NOT NULL, established TEXT NOT NULL, peer TEXT NOT NULL, object TEXT NOT NULL, outcome TEXT NOT NULL, detail
TEXT NOT NULL, request_id TEXT NOT NULL, PRIMARY KEY (id) );
CREATE TABLE idempotency_key ( principal TEXT NOT NULL, route TEXT NOT NULL, "key" TEXT NOT NULL, body_hash
TEXT NOT NULL, status BIGINT NOT NULL, answer TEXT NOT NULL, created_at BIGINT NOT NULL, PRIMARY KEY
(principal, route, "key") ) WITHOUT ROWID;
CREATE TABLE token ( id INTEGER NOT NULL, "key" TEXT NOT NULL, digest TEXT NOT NULL, user TEXT NOT NULL,
access_class TEXT NOT NULL, workflows TEXT, created_at BIGINT NOT NULL, expires_at BIGINT, revoked_at BIGINT,
PRIMARY KEY (id) );
CREATE TABLE local_scheduler ( id INTEGER NOT NULL, wf BIGINT NOT NULL, name TEXT, memory TEXT, num_cpus
BIGINT, PRIMARY KEY (id), FOREIGN KEY(wf) REFERENCES workflow (id) );
CREATE TABLE remote_worker ( id INTEGER NOT NULL, wf BIGINT NOT NULL, worker TEXT NOT NULL, label TEXT,
options TEXT, PRIMARY KEY (id), FOREIGN KEY(wf) REFERENCES workflow (id) );
CREATE TABLE task ( id INTEGER NOT NULL, wf BIGINT NOT NULL, name TEXT NOT NULL, options TEXT NOT NULL, status
TEXT NOT NULL, created_at BIGINT NOT NULL, started_at BIGINT, finished_at BIGINT, error TEXT, PRIMARY KEY
(id), FOREIGN KEY(wf) REFERENCES workflow (id) );
CREATE TABLE user_group_membership ( id INTEGER NOT NULL, group_id BIGINT NOT NULL, user_name TEXT NOT NULL,
role TEXT NOT NULL, created_at BIGINT NOT NULL, PRIMARY KEY (id), FOREIGN KEY(group_id) REFERENCES
access_group (id) );
CREATE TABLE workflow_access_group ( id INTEGER NOT NULL, wf BIGINT NOT NULL, group_id BIGINT NOT NULL, level
TEXT NOT NULL, created_at BIGINT NOT NULL, PRIMARY KEY (id), FOREIGN KEY(wf) REFERENCES workflow (id), FOREIGN
KEY(group_id) REFERENCES access_group (id) );
CREATE TABLE action_run ( id INTEGER NOT NULL, wf BIGINT NOT NULL, action_id BIGINT NOT NULL, run_id BIGINT
NOT NULL, node_id BIGINT DEFAULT '0' NOT NULL, state TEXT NOT NULL, claim_id TEXT, claimed_by BIGINT,
claimed_at BIGINT, progress BIGINT DEFAULT '0' NOT NULL, error TEXT, PRIMARY KEY (id), FOREIGN KEY(wf)
REFERENCES workflow (id), FOREIGN KEY(action_id) REFERENCES workflow_action (id) );
CREATE TABLE ro_crate_entity ( id INTEGER NOT NULL, wf BIGINT NOT NULL, entity_id TEXT NOT NULL, entity_type
TEXT NOT NULL, file_id BIGINT, metadata TEXT NOT NULL, PRIMARY KEY (id), FOREIGN KEY(wf) REFERENCES workflow
(id), FOREIGN KEY(file_id) REFERENCES file (id) );
CREATE TABLE scheduled_compute_node ( id INTEGER NOT NULL, wf BIGINT NOT NULL, scheduler_config_id BIGINT,
scheduler_type TEXT NOT NULL, scheduler_id TEXT, status TEXT NOT NULL, submission_key TEXT NOT NULL,
action_run_id BIGINT, ordinal BIGINT DEFAULT '0' NOT NULL, nodes BIGINT DEFAULT '1' NOT NULL, walltime TEXT,
submitted_by TEXT, submitted_at BIGINT, reason TEXT, request_id TEXT, PRIMARY KEY (id), FOREIGN KEY(wf)
REFERENCES workflow (id), FOREIGN KEY(scheduler_config_id) REFERENCES slurm_scheduler (id), FOREIGN
KEY(action_run_id) REFERENCES action_run (id) );
CREATE TABLE slurm_stats ( id INTEGER NOT NULL, wf BIGINT NOT NULL, job_id BIGINT NOT NULL, run_id BIGINT NOT
NULL, attempt_id BIGINT NOT NULL, slurm_job_id TEXT, node_list TEXT, ave_cpu_seconds DOUBLE, max_rss_bytes
BIGINT, max_vm_size_bytes BIGINT, max_disk_read_bytes BIGINT, max_disk_write_bytes BIGINT, PRIMARY KEY (id),
FOREIGN KEY(wf) REFERENCES workflow (id), FOREIGN KEY(job_id) REFERENCES job (id) );
ALTER TABLE workflow ADD COLUMN slurm_config TEXT;
ALTER TABLE workflow ADD COLUMN submit_options TEXT;
ALTER TABLE workflow ADD COLUMN capability_generation BIGINT DEFAULT '0' NOT NULL;
ALTER TABLE workflow ADD COLUMN has_job_triggers BIGINT DEFAULT '0' NOT NULL;
ALTER TABLE workflow ADD COLUMN exec_minutes DOUBLE DEFAULT '0' NOT NULL;
ALTER TABLE workflow ADD COLUMN first_start BIGINT;
ALTER TABLE workflow ADD COLUMN last_end BIGINT;
ALTER TABLE workflow ADD COLUMN summed BIGINT DEFAULT '0' NOT NULL;
ALTER TABLE file ADD COLUMN content_hash TEXT;
ALTER TABLE workflow_action ADD COLUMN is_recovery BIGINT DEFAULT '0' NOT NULL;
ALTER TABLE workflow_action ADD COLUMN required_triggers BIGINT DEFAULT '1' NOT NULL;
ALTER TABLE workflow_action ADD COLUMN trigger_count BIGINT DEFAULT '0' NOT NULL;
ALTER TABLE compute_node ADD COLUMN sample_count BIGINT;
ALTER TABLE compute_node ADD COLUMN scheduler TEXT;
ALTER TABLE compute_node ADD COLUMN state TEXT DEFAULT 'active' NOT NULL;
ALTER TABLE compute_node ADD COLUMN on_lost TEXT DEFAULT 'drain' NOT NULL;
ALTER TABLE compute_node ADD COLUMN lease_seconds BIGINT DEFAULT '1200' NOT NULL;
ALTER TABLE compute_node ADD COLUMN beats BIGINT DEFAULT '1' NOT NULL;
ALTER TABLE compute_node ADD COLUMN draining BIGINT DEFAULT '0' NOT NULL;
ALTER TABLE compute_node ADD COLUMN allocation_id BIGINT REFERENCES scheduled_compute_node (id);
ALTER TABLE compute_node ADD COLUMN restart_count BIGINT;
ALTER TABLE compute_node ADD COLUMN duration_seconds DOUBLE;
ALTER TABLE compute_node ADD COLUMN beat_number BIGINT DEFAULT '0' NOT NULL;
ALTER TABLE job ADD COLUMN not_before BIGINT;
ALTER TABLE job ADD COLUMN losses BIGINT DEFAULT '0' NOT NULL;
ALTER TABLE job ADD COLUMN input_hash TEXT;
ALTER TABLE job ADD COLUMN origin TEXT;
ALTER TABLE job ADD COLUMN lineage TEXT;
ALTER TABLE job ADD COLUMN spawned_by BIGINT;
ALTER TABLE job ADD COLUMN schedule_compute_nodes TEXT;
ALTER TABLE action_job ADD COLUMN hit_run BIGINT;
ALTER TABLE result ADD COLUMN lease TEXT;
DROP INDEX job_claim;
CREATE UNIQUE INDEX group_name ON access_group (name);
CREATE INDEX kept_age ON idempotency_key (created_at);
CREATE UNIQUE INDEX token_key ON token ("key");
CREATE INDEX local_scheduler_wf ON local_scheduler (wf);
CREATE UNIQUE INDEX remote_worker_wf ON remote_worker (wf, worker);
CREATE INDEX task_wf ON task (wf, status);
CREATE INDEX membership_group ON user_group_membership (group_id);
CREATE UNIQUE INDEX membership_user ON user_group_membership (user_name, group_id);
CREATE INDEX group_link_group ON workflow_access_group (group_id);
CREATE UNIQUE INDEX group_link_wf ON workflow_access_group (wf, group_id);
CREATE UNIQUE INDEX action_run_once ON action_run (action_id, run_id, node_id);
CREATE INDEX action_run_wf ON action_run (wf, state);
CREATE INDEX entity_file ON ro_crate_entity (file_id) WHERE file_id IS NOT NULL;
CREATE UNIQUE INDEX entity_id ON ro_crate_entity (wf, entity_id);
CREATE INDEX allocation_action ON scheduled_compute_node (action_run_id) WHERE action_run_id IS NOT NULL;
CREATE UNIQUE INDEX allocation_key ON scheduled_compute_node (submission_key) WHERE submission_key <> '';
CREATE INDEX allocation_scheduler ON scheduled_compute_node (scheduler_config_id) WHERE scheduler_config_id IS
NOT NULL;
CREATE INDEX allocation_wf ON scheduled_compute_node (wf, status);
CREATE INDEX node_active ON compute_node (is_active, last_beat);
CREATE INDEX node_allocation ON compute_node (allocation_id) WHERE allocation_id IS NOT NULL;
CREATE INDEX job_claim ON job (wf, class_id, priority DESC, id) WHERE status = 2 AND node_id IS NULL AND
not_before IS NULL;
CREATE INDEX job_delayed ON job (not_before) WHERE not_before IS NOT NULL;
CREATE INDEX job_spawned ON job (spawned_by) WHERE spawned_by IS NOT NULL;
CREATE UNIQUE INDEX slurm_stats_attempt ON slurm_stats (job_id, run_id, attempt_id);
CREATE INDEX slurm_stats_wf ON slurm_stats (wf);
UPDATE workflow SET has_job_triggers = 1 WHERE id IN (SELECT wf FROM workflow_action WHERE trigger_type IN
('on_jobs_ready', 'on_jobs_complete'));
UPDATE workflow_action SET required_triggers = (SELECT max(1, count(*)) FROM action_job WHERE
action_job.action_id = workflow_action.id) WHERE trigger_mode <> 'any';
INSERT INTO counter (kind, value) VALUES ('local_scheduler', 0);
INSERT INTO counter (kind, value) VALUES ('slurm_stats', 0);
INSERT INTO counter (kind, value) VALUES ('entity', 0);
INSERT INTO counter (kind, value) VALUES ('remote_worker', 0);
INSERT INTO counter (kind, value) VALUES ('operation', 0);
INSERT INTO counter (kind, value) VALUES ('group', 0);
INSERT INTO counter (kind, value) VALUES ('membership', 0);
INSERT INTO counter (kind, value) VALUES ('group_link', 0);
INSERT INTO counter (kind, value) VALUES ('audit', 0);
INSERT INTO counter (kind, value) VALUES ('token', 0);
INSERT INTO counter (kind, value) VALUES ('action_run', 0);
INSERT INTO counter (kind, value) VALUES ('allocation', 0);
