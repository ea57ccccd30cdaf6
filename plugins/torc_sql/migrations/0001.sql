CREATE TABLE counter ( kind TEXT NOT NULL, value BIGINT NOT NULL, PRIMARY KEY (kind) );
CREATE TABLE event ( id INTEGER NOT NULL, wf BIGINT NOT NULL, timestamp BIGINT NOT NULL, category TEXT NOT
NULL, severity TEXT NOT NULL, data TEXT NOT NULL, PRIMARY KEY (id) );
CREATE INDEX event_wf ON event (wf, id);
CREATE TABLE meta ( name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name) );
CREATE TABLE server_lease ( id INTEGER NOT NULL, epoch BIGINT NOT NULL, host TEXT NOT NULL, boot_id TEXT NOT
NULL, pid BIGINT NOT NULL, process_start BIGINT NOT NULL, beat BIGINT NOT NULL, PRIMARY KEY (id) );
CREATE TABLE workflow ( id INTEGER NOT NULL, name TEXT NOT NULL, user TEXT NOT NULL, description TEXT, project
TEXT, metadata TEXT, created_at BIGINT NOT NULL, run_id BIGINT DEFAULT '0' NOT NULL, initialized_run BIGINT
DEFAULT '0' NOT NULL, is_canceled BIGINT DEFAULT '0' NOT NULL, is_archived BIGINT DEFAULT '0' NOT NULL,
deleting BIGINT DEFAULT '0' NOT NULL, derived BIGINT DEFAULT '1' NOT NULL, env TEXT, execution_config TEXT,
resource_monitor_config TEXT, slurm_defaults TEXT, dynamic_jobs TEXT, notify TEXT, report BIGINT DEFAULT '0'
NOT NULL, api_access TEXT NOT NULL, use_pending_failed BIGINT DEFAULT '0' NOT NULL, enable_ro_crate BIGINT
DEFAULT '0' NOT NULL, retry_on_node_loss BIGINT DEFAULT '0' NOT NULL, compute_node_wait_for_new_jobs_seconds
BIGINT NOT NULL, compute_node_ignore_workflow_completion BIGINT NOT NULL,
compute_node_wait_for_healthy_database_minutes BIGINT NOT NULL, compute_node_min_time_for_new_jobs_seconds
BIGINT NOT NULL, compute_node_expiration_buffer_seconds BIGINT, submission_directory TEXT, source_path TEXT,
source_digest TEXT, uses_gpus BIGINT DEFAULT '0' NOT NULL, PRIMARY KEY (id) );
CREATE INDEX workflow_source ON workflow (source_path) WHERE source_path IS NOT NULL;
CREATE TABLE dep_set ( id INTEGER NOT NULL, wf BIGINT NOT NULL, digest BLOB, size BIGINT NOT NULL, remaining
BIGINT NOT NULL, bad BIGINT DEFAULT '0' NOT NULL, PRIMARY KEY (id), FOREIGN KEY(wf) REFERENCES workflow (id) );
CREATE UNIQUE INDEX dep_set_digest ON dep_set (wf, digest);
CREATE TABLE failure_handler ( id INTEGER NOT NULL, wf BIGINT NOT NULL, name TEXT NOT NULL, rules TEXT NOT
NULL, PRIMARY KEY (id), FOREIGN KEY(wf) REFERENCES workflow (id) );
CREATE INDEX handler_wf ON failure_handler (wf);
CREATE TABLE file ( id INTEGER NOT NULL, wf BIGINT NOT NULL, name TEXT NOT NULL, path TEXT NOT NULL,
identifier TEXT, st_mtime DOUBLE, size BIGINT, PRIMARY KEY (id), FOREIGN KEY(wf) REFERENCES workflow (id) );
CREATE INDEX file_name ON file (wf, name);
CREATE TABLE resource_requirements ( id INTEGER NOT NULL, wf BIGINT NOT NULL, name TEXT NOT NULL, num_cpus
BIGINT NOT NULL, num_gpus BIGINT NOT NULL, num_nodes BIGINT NOT NULL, memory TEXT NOT NULL, runtime TEXT NOT
NULL, memory_bytes BIGINT NOT NULL, runtime_s BIGINT NOT NULL, PRIMARY KEY (id), FOREIGN KEY(wf) REFERENCES
workflow (id) );
CREATE INDEX requirement_name ON resource_requirements (wf, name);
CREATE TABLE slurm_scheduler ( id INTEGER NOT NULL, wf BIGINT NOT NULL, name TEXT NOT NULL, fields TEXT NOT
NULL, PRIMARY KEY (id), FOREIGN KEY(wf) REFERENCES workflow (id) );
CREATE INDEX scheduler_wf ON slurm_scheduler (wf);
CREATE TABLE status_count ( wf BIGINT NOT NULL, status BIGINT NOT NULL, jobs BIGINT DEFAULT '0' NOT NULL,
PRIMARY KEY (wf, status), FOREIGN KEY(wf) REFERENCES workflow (id) ) WITHOUT ROWID;
CREATE TABLE user_data ( id INTEGER NOT NULL, wf BIGINT NOT NULL, name TEXT NOT NULL, data TEXT, initial_data
TEXT, is_ephemeral BIGINT DEFAULT '0' NOT NULL, PRIMARY KEY (id), FOREIGN KEY(wf) REFERENCES workflow (id) );
CREATE INDEX user_data_name ON user_data (wf, name);
CREATE TABLE workflow_action ( id INTEGER NOT NULL, wf BIGINT NOT NULL, trigger_type TEXT NOT NULL,
trigger_mode TEXT NOT NULL, action_type TEXT NOT NULL, action_config TEXT NOT NULL, persistent BIGINT DEFAULT
'0' NOT NULL, PRIMARY KEY (id), FOREIGN KEY(wf) REFERENCES workflow (id) );
CREATE INDEX action_wf ON workflow_action (wf);
CREATE TABLE compute_node ( id INTEGER NOT NULL, wf BIGINT NOT NULL, epoch TEXT NOT NULL, hostname TEXT NOT
NULL, pid BIGINT NOT NULL, boot_id TEXT NOT NULL, process_start BIGINT NOT NULL, num_cpus BIGINT NOT NULL,
memory_bytes BIGINT NOT NULL, num_gpus BIGINT NOT NULL, gpu_ids TEXT NOT NULL, num_nodes BIGINT NOT NULL, type
TEXT NOT NULL, label TEXT, scheduler_id BIGINT, output_dir TEXT, time_limit BIGINT, is_active BIGINT DEFAULT
'1' NOT NULL, start_time BIGINT NOT NULL, last_beat BIGINT, end_time BIGINT, avg_cpu_percent DOUBLE,
peak_cpu_percent DOUBLE, avg_memory_bytes BIGINT, peak_memory_bytes BIGINT, PRIMARY KEY (id), FOREIGN KEY(wf)
REFERENCES workflow (id), FOREIGN KEY(scheduler_id) REFERENCES slurm_scheduler (id) );
CREATE INDEX node_epoch ON compute_node (epoch);
CREATE INDEX node_scheduler ON compute_node (scheduler_id) WHERE scheduler_id IS NOT NULL;
CREATE INDEX node_wf ON compute_node (wf);
CREATE TABLE input_set ( id INTEGER NOT NULL, wf BIGINT NOT NULL, kind TEXT NOT NULL, digest BLOB NOT NULL,
size BIGINT NOT NULL, dep_set_id BIGINT, PRIMARY KEY (id), FOREIGN KEY(wf) REFERENCES workflow (id), FOREIGN
KEY(dep_set_id) REFERENCES dep_set (id) );
CREATE INDEX input_set_dep ON input_set (dep_set_id) WHERE dep_set_id IS NOT NULL;
CREATE UNIQUE INDEX input_set_digest ON input_set (wf, kind, digest);
CREATE TABLE job_class ( id INTEGER NOT NULL, wf BIGINT NOT NULL, num_cpus BIGINT NOT NULL, memory_bytes
BIGINT NOT NULL, num_gpus BIGINT NOT NULL, num_nodes BIGINT NOT NULL, runtime_s BIGINT NOT NULL, scheduler_id
BIGINT, label TEXT, num_ready BIGINT DEFAULT '0' NOT NULL, PRIMARY KEY (id), FOREIGN KEY(wf) REFERENCES
workflow (id), FOREIGN KEY(scheduler_id) REFERENCES slurm_scheduler (id) );
CREATE INDEX job_class_ready ON job_class (wf) WHERE num_ready > 0;
CREATE INDEX job_class_scheduler ON job_class (scheduler_id) WHERE scheduler_id IS NOT NULL;
CREATE UNIQUE INDEX job_class_shape ON job_class (wf, num_cpus, memory_bytes, num_gpus, num_nodes, runtime_s,
coalesce(scheduler_id, 0), coalesce(label, ''));
CREATE TABLE claim ( claim_id TEXT NOT NULL, wf BIGINT NOT NULL, node_id BIGINT, job_ids TEXT NOT NULL,
created_at BIGINT NOT NULL, PRIMARY KEY (claim_id), FOREIGN KEY(node_id) REFERENCES compute_node (id) )
WITHOUT ROWID;
CREATE INDEX claim_node ON claim (node_id, created_at);
CREATE TABLE input_member ( set_id BIGINT NOT NULL, item_id BIGINT NOT NULL, wf BIGINT NOT NULL, PRIMARY KEY
(set_id, item_id), FOREIGN KEY(set_id) REFERENCES input_set (id), FOREIGN KEY(wf) REFERENCES workflow (id) )
WITHOUT ROWID;
CREATE INDEX input_member_item ON input_member (item_id, set_id);
CREATE INDEX input_member_wf ON input_member (wf);
CREATE TABLE job ( id INTEGER NOT NULL, wf BIGINT NOT NULL, name TEXT NOT NULL, command TEXT NOT NULL,
invocation_script TEXT, env TEXT, status BIGINT DEFAULT '0' NOT NULL, priority BIGINT DEFAULT '0' NOT NULL,
cancel_on_blocking_job_failure BIGINT DEFAULT '1' NOT NULL, supports_termination BIGINT DEFAULT '0' NOT NULL,
requirement_id BIGINT NOT NULL, class_id BIGINT NOT NULL, scheduler_id BIGINT, failure_handler_id BIGINT,
label TEXT, unmet BIGINT DEFAULT '0' NOT NULL, num_blockers BIGINT DEFAULT '0' NOT NULL, run_id BIGINT DEFAULT
'0' NOT NULL, attempt_id BIGINT DEFAULT '1' NOT NULL, node_id BIGINT, lease TEXT, prefetched BIGINT DEFAULT
'0' NOT NULL, forked BIGINT DEFAULT '0' NOT NULL, missed BIGINT DEFAULT '0' NOT NULL, recalled BIGINT DEFAULT
'0' NOT NULL, claimed_at BIGINT, start_time BIGINT, ready_since BIGINT, stop BIGINT DEFAULT '0' NOT NULL,
reason TEXT, result_id BIGINT, PRIMARY KEY (id), FOREIGN KEY(wf) REFERENCES workflow (id), FOREIGN
KEY(requirement_id) REFERENCES resource_requirements (id), FOREIGN KEY(class_id) REFERENCES job_class (id),
FOREIGN KEY(scheduler_id) REFERENCES slurm_scheduler (id), FOREIGN KEY(failure_handler_id) REFERENCES
failure_handler (id), FOREIGN KEY(node_id) REFERENCES compute_node (id) );
CREATE INDEX job_claim ON job (wf, class_id, priority DESC, id) WHERE status = 2 AND node_id IS NULL;
CREATE INDEX job_handler ON job (failure_handler_id) WHERE failure_handler_id IS NOT NULL;
CREATE INDEX job_name ON job (wf, name);
CREATE INDEX job_node ON job (node_id, class_id, prefetched, stop) WHERE node_id IS NOT NULL;
CREATE INDEX job_of_class ON job (class_id);
CREATE INDEX job_requirement ON job (requirement_id);
CREATE INDEX job_scheduler ON job (scheduler_id) WHERE scheduler_id IS NOT NULL;
CREATE INDEX job_status ON job (wf, status);
CREATE TABLE action_job ( action_id BIGINT NOT NULL, job_id BIGINT NOT NULL, wf BIGINT NOT NULL, PRIMARY KEY
(action_id, job_id), FOREIGN KEY(action_id) REFERENCES workflow_action (id), FOREIGN KEY(job_id) REFERENCES
job (id), FOREIGN KEY(wf) REFERENCES workflow (id) ) WITHOUT ROWID;
CREATE INDEX action_job_job ON action_job (job_id);
CREATE INDEX action_job_wf ON action_job (wf);
CREATE TABLE dep_member ( set_id BIGINT NOT NULL, job_id BIGINT NOT NULL, wf BIGINT NOT NULL, PRIMARY KEY
(set_id, job_id), FOREIGN KEY(set_id) REFERENCES dep_set (id), FOREIGN KEY(job_id) REFERENCES job (id),
FOREIGN KEY(wf) REFERENCES workflow (id) ) WITHOUT ROWID;
CREATE INDEX dep_member_job ON dep_member (job_id, set_id);
CREATE INDEX dep_member_wf ON dep_member (wf);
CREATE TABLE dep_use ( job_id BIGINT NOT NULL, set_id BIGINT NOT NULL, wf BIGINT NOT NULL, sources BIGINT NOT
NULL, PRIMARY KEY (job_id, set_id), FOREIGN KEY(job_id) REFERENCES job (id), FOREIGN KEY(set_id) REFERENCES
dep_set (id), FOREIGN KEY(wf) REFERENCES workflow (id) ) WITHOUT ROWID;
CREATE INDEX dep_use_set ON dep_use (set_id, job_id);
CREATE INDEX dep_use_wf ON dep_use (wf);
CREATE TABLE input_use ( job_id BIGINT NOT NULL, set_id BIGINT NOT NULL, wf BIGINT NOT NULL, PRIMARY KEY
(job_id, set_id), FOREIGN KEY(job_id) REFERENCES job (id), FOREIGN KEY(set_id) REFERENCES input_set (id),
FOREIGN KEY(wf) REFERENCES workflow (id) ) WITHOUT ROWID;
CREATE INDEX input_use_set ON input_use (set_id, job_id);
CREATE INDEX input_use_wf ON input_use (wf);
CREATE TABLE job_output_file ( job_id BIGINT NOT NULL, item_id BIGINT NOT NULL, wf BIGINT NOT NULL, PRIMARY
KEY (job_id, item_id), FOREIGN KEY(job_id) REFERENCES job (id), FOREIGN KEY(item_id) REFERENCES file (id),
FOREIGN KEY(wf) REFERENCES workflow (id) ) WITHOUT ROWID;
CREATE INDEX output_file_item ON job_output_file (item_id);
CREATE INDEX output_file_wf ON job_output_file (wf);
CREATE TABLE job_output_user_data ( job_id BIGINT NOT NULL, item_id BIGINT NOT NULL, wf BIGINT NOT NULL,
PRIMARY KEY (job_id, item_id), FOREIGN KEY(job_id) REFERENCES job (id), FOREIGN KEY(item_id) REFERENCES
user_data (id), FOREIGN KEY(wf) REFERENCES workflow (id) ) WITHOUT ROWID;
CREATE INDEX output_user_data_item ON job_output_user_data (item_id);
CREATE INDEX output_user_data_wf ON job_output_user_data (wf);
CREATE TABLE result ( id INTEGER NOT NULL, wf BIGINT NOT NULL, job_id BIGINT NOT NULL, run_id BIGINT NOT NULL,
attempt_id BIGINT NOT NULL, node_id BIGINT, status BIGINT NOT NULL, return_code BIGINT NOT NULL, reason TEXT,
exec_minutes DOUBLE NOT NULL, completed_at BIGINT NOT NULL, peak_memory_bytes BIGINT, avg_memory_bytes BIGINT,
peak_cpu_percent DOUBLE, avg_cpu_percent DOUBLE, provisional BIGINT DEFAULT '0' NOT NULL, PRIMARY KEY (id),
FOREIGN KEY(wf) REFERENCES workflow (id), FOREIGN KEY(job_id) REFERENCES job (id) );
CREATE UNIQUE INDEX result_attempt ON result (job_id, run_id, attempt_id);
CREATE INDEX result_job ON result (wf, job_id);
CREATE INDEX result_node ON result (node_id);
INSERT INTO counter (kind, value) VALUES ('workflow', 0);
INSERT INTO counter (kind, value) VALUES ('job', 0);
INSERT INTO counter (kind, value) VALUES ('job_class', 0);
INSERT INTO counter (kind, value) VALUES ('file', 0);
INSERT INTO counter (kind, value) VALUES ('user_data', 0);
INSERT INTO counter (kind, value) VALUES ('requirement', 0);
INSERT INTO counter (kind, value) VALUES ('handler', 0);
INSERT INTO counter (kind, value) VALUES ('scheduler', 0);
INSERT INTO counter (kind, value) VALUES ('dep_set', 0);
INSERT INTO counter (kind, value) VALUES ('input_set', 0);
INSERT INTO counter (kind, value) VALUES ('action', 0);
INSERT INTO counter (kind, value) VALUES ('node', 0);
INSERT INTO counter (kind, value) VALUES ('result', 0);
INSERT INTO counter (kind, value) VALUES ('event', 0);
INSERT INTO server_lease (id, epoch, host, boot_id, pid, process_start, beat) VALUES (1, 0, '', '', 0, 0, 0);
