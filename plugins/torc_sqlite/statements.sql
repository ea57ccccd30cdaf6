-- INSERT_ACCESS_GROUP
INSERT INTO access_group (id, name, description, is_system, created_at) VALUES (?, ?, ?, ?, ?)

-- INSERT_AUDIT
INSERT INTO audit (id, timestamp, operation, principal, established, peer, object, outcome, detail,
request_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- INSERT_COUNTER
INSERT INTO counter (kind, value) VALUES (?, ?)

-- INSERT_EVENT
INSERT INTO event (id, wf, timestamp, category, severity, data) VALUES (?, ?, ?, ?, ?, ?)

-- INSERT_IDEMPOTENCY_KEY
INSERT INTO idempotency_key (principal, route, "key", body_hash, status, answer, created_at) VALUES (?, ?, ?,
?, ?, ?, ?)

-- INSERT_META
INSERT INTO meta (name, value) VALUES (?, ?)

-- INSERT_SERVER_LEASE
INSERT INTO server_lease (id, epoch, host, boot_id, pid, process_start, beat) VALUES (?, ?, ?, ?, ?, ?, ?)

-- INSERT_TOKEN
INSERT INTO token (id, "key", digest, user, access_class, workflows, created_at, expires_at, revoked_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)

-- INSERT_WORKFLOW
INSERT INTO workflow (id, name, user, description, project, metadata, created_at, run_id, initialized_run,
is_canceled, is_archived, deleting, derived, env, execution_config, resource_monitor_config, slurm_defaults,
dynamic_jobs, notify, report, api_access, use_pending_failed, enable_ro_crate, retry_on_node_loss,
compute_node_wait_for_new_jobs_seconds, compute_node_ignore_workflow_completion,
compute_node_wait_for_healthy_database_minutes, compute_node_min_time_for_new_jobs_seconds,
compute_node_expiration_buffer_seconds, submission_directory, source_path, source_digest, uses_gpus,
slurm_config, submit_options, capability_generation, has_job_triggers, exec_minutes, first_start, last_end,
summed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- INSERT_DEP_SET
INSERT INTO dep_set (id, wf, digest, size, remaining, bad) VALUES (?, ?, ?, ?, ?, ?)

-- INSERT_FAILURE_HANDLER
INSERT INTO failure_handler (id, wf, name, rules) VALUES (?, ?, ?, ?)

-- INSERT_FILE
INSERT INTO file (id, wf, name, path, identifier, st_mtime, size, content_hash) VALUES (?, ?, ?, ?, ?, ?, ?,
?)

-- INSERT_LOCAL_SCHEDULER
INSERT INTO local_scheduler (id, wf, name, memory, num_cpus) VALUES (?, ?, ?, ?, ?)

-- INSERT_REMOTE_WORKER
INSERT INTO remote_worker (id, wf, worker, label, options) VALUES (?, ?, ?, ?, ?)

-- INSERT_RESOURCE_REQUIREMENTS
INSERT INTO resource_requirements (id, wf, name, num_cpus, num_gpus, num_nodes, memory, runtime, memory_bytes,
runtime_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- INSERT_SLURM_SCHEDULER
INSERT INTO slurm_scheduler (id, wf, name, fields) VALUES (?, ?, ?, ?)

-- INSERT_STATUS_COUNT
INSERT INTO status_count (wf, status, jobs) VALUES (?, ?, ?)

-- INSERT_TASK
INSERT INTO task (id, wf, name, options, status, created_at, started_at, finished_at, error) VALUES (?, ?, ?,
?, ?, ?, ?, ?, ?)

-- INSERT_USER_DATA
INSERT INTO user_data (id, wf, name, data, initial_data, is_ephemeral) VALUES (?, ?, ?, ?, ?, ?)

-- INSERT_USER_GROUP_MEMBERSHIP
INSERT INTO user_group_membership (id, group_id, user_name, role, created_at) VALUES (?, ?, ?, ?, ?)

-- INSERT_WORKFLOW_ACCESS_GROUP
INSERT INTO workflow_access_group (id, wf, group_id, level, created_at) VALUES (?, ?, ?, ?, ?)

-- INSERT_WORKFLOW_ACTION
INSERT INTO workflow_action (id, wf, trigger_type, trigger_mode, action_type, action_config, persistent,
is_recovery, required_triggers, trigger_count) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- INSERT_ACTION_RUN
INSERT INTO action_run (id, wf, action_id, run_id, node_id, state, claim_id, claimed_by, claimed_at, progress,
error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- INSERT_INPUT_SET
INSERT INTO input_set (id, wf, kind, digest, size, dep_set_id) VALUES (?, ?, ?, ?, ?, ?)

-- INSERT_JOB_CLASS
INSERT INTO job_class (id, wf, num_cpus, memory_bytes, num_gpus, num_nodes, runtime_s, scheduler_id, label,
num_ready) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- INSERT_RO_CRATE_ENTITY
INSERT INTO ro_crate_entity (id, wf, entity_id, entity_type, file_id, metadata) VALUES (?, ?, ?, ?, ?, ?)

-- INSERT_INPUT_MEMBER
INSERT INTO input_member (set_id, item_id, wf) VALUES (?, ?, ?)

-- INSERT_SCHEDULED_COMPUTE_NODE
INSERT INTO scheduled_compute_node (id, wf, scheduler_config_id, scheduler_type, scheduler_id, status,
submission_key, action_run_id, ordinal, nodes, walltime, submitted_by, submitted_at, reason, request_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- INSERT_COMPUTE_NODE
INSERT INTO compute_node (id, wf, epoch, hostname, pid, boot_id, process_start, num_cpus, memory_bytes,
num_gpus, gpu_ids, num_nodes, type, label, scheduler_id, output_dir, time_limit, is_active, start_time,
last_beat, end_time, avg_cpu_percent, peak_cpu_percent, avg_memory_bytes, peak_memory_bytes, sample_count,
scheduler, state, on_lost, lease_seconds, beats, draining, allocation_id, restart_count, duration_seconds,
beat_number) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
?, ?, ?, ?, ?, ?)

-- INSERT_CLAIM
INSERT INTO claim (claim_id, wf, node_id, job_ids, created_at) VALUES (?, ?, ?, ?, ?)

-- INSERT_JOB
INSERT INTO job (id, wf, name, command, invocation_script, env, status, priority,
cancel_on_blocking_job_failure, supports_termination, requirement_id, class_id, scheduler_id,
failure_handler_id, label, unmet, num_blockers, run_id, attempt_id, node_id, lease, prefetched, forked,
missed, recalled, claimed_at, start_time, ready_since, stop, reason, result_id, not_before, losses,
input_hash, origin, lineage, spawned_by, schedule_compute_nodes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- INSERT_ACTION_JOB
INSERT INTO action_job (action_id, job_id, wf, hit_run) VALUES (?, ?, ?, ?)

-- INSERT_DEP_MEMBER
INSERT INTO dep_member (set_id, job_id, wf) VALUES (?, ?, ?)

-- INSERT_DEP_USE
INSERT INTO dep_use (job_id, set_id, wf, sources) VALUES (?, ?, ?, ?)

-- INSERT_INPUT_USE
INSERT INTO input_use (job_id, set_id, wf) VALUES (?, ?, ?)

-- INSERT_JOB_OUTPUT_FILE
INSERT INTO job_output_file (job_id, item_id, wf) VALUES (?, ?, ?)

-- INSERT_JOB_OUTPUT_USER_DATA
INSERT INTO job_output_user_data (job_id, item_id, wf) VALUES (?, ?, ?)

-- INSERT_RESULT
INSERT INTO result (id, wf, job_id, run_id, attempt_id, node_id, status, return_code, reason, exec_minutes,
completed_at, peak_memory_bytes, avg_memory_bytes, peak_cpu_percent, avg_cpu_percent, provisional, lease)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- INSERT_SLURM_STATS
INSERT INTO slurm_stats (id, wf, job_id, run_id, attempt_id, slurm_job_id, node_list, ave_cpu_seconds,
max_rss_bytes, max_vm_size_bytes, max_disk_read_bytes, max_disk_write_bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?,
?, ?, ?, ?)

-- PURGE_EVENT
DELETE FROM event WHERE event.id IN (SELECT event.id FROM event WHERE event.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_DEP_SET
DELETE FROM dep_set WHERE dep_set.id IN (SELECT dep_set.id FROM dep_set WHERE dep_set.wf = :wf_ LIMIT :limit_
OFFSET 0)

-- PURGE_FAILURE_HANDLER
DELETE FROM failure_handler WHERE failure_handler.id IN (SELECT failure_handler.id FROM failure_handler WHERE
failure_handler.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_FILE
DELETE FROM file WHERE file.id IN (SELECT file.id FROM file WHERE file.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_LOCAL_SCHEDULER
DELETE FROM local_scheduler WHERE local_scheduler.id IN (SELECT local_scheduler.id FROM local_scheduler WHERE
local_scheduler.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_REMOTE_WORKER
DELETE FROM remote_worker WHERE remote_worker.id IN (SELECT remote_worker.id FROM remote_worker WHERE
remote_worker.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_RESOURCE_REQUIREMENTS
DELETE FROM resource_requirements WHERE resource_requirements.id IN (SELECT resource_requirements.id FROM
resource_requirements WHERE resource_requirements.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_SLURM_SCHEDULER
DELETE FROM slurm_scheduler WHERE slurm_scheduler.id IN (SELECT slurm_scheduler.id FROM slurm_scheduler WHERE
slurm_scheduler.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_STATUS_COUNT
DELETE FROM status_count WHERE (status_count.wf, status_count.status) IN (SELECT status_count.wf,
status_count.status FROM status_count WHERE status_count.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_TASK
DELETE FROM task WHERE task.id IN (SELECT task.id FROM task WHERE task.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_USER_DATA
DELETE FROM user_data WHERE user_data.id IN (SELECT user_data.id FROM user_data WHERE user_data.wf = :wf_
LIMIT :limit_ OFFSET 0)

-- PURGE_WORKFLOW_ACCESS_GROUP
DELETE FROM workflow_access_group WHERE workflow_access_group.id IN (SELECT workflow_access_group.id FROM
workflow_access_group WHERE workflow_access_group.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_WORKFLOW_ACTION
DELETE FROM workflow_action WHERE workflow_action.id IN (SELECT workflow_action.id FROM workflow_action WHERE
workflow_action.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_ACTION_RUN
DELETE FROM action_run WHERE action_run.id IN (SELECT action_run.id FROM action_run WHERE action_run.wf = :wf_
LIMIT :limit_ OFFSET 0)

-- PURGE_INPUT_SET
DELETE FROM input_set WHERE input_set.id IN (SELECT input_set.id FROM input_set WHERE input_set.wf = :wf_
LIMIT :limit_ OFFSET 0)

-- PURGE_JOB_CLASS
DELETE FROM job_class WHERE job_class.id IN (SELECT job_class.id FROM job_class WHERE job_class.wf = :wf_
LIMIT :limit_ OFFSET 0)

-- PURGE_RO_CRATE_ENTITY
DELETE FROM ro_crate_entity WHERE ro_crate_entity.id IN (SELECT ro_crate_entity.id FROM ro_crate_entity WHERE
ro_crate_entity.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_INPUT_MEMBER
DELETE FROM input_member WHERE (input_member.set_id, input_member.item_id) IN (SELECT input_member.set_id,
input_member.item_id FROM input_member WHERE input_member.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_SCHEDULED_COMPUTE_NODE
DELETE FROM scheduled_compute_node WHERE scheduled_compute_node.id IN (SELECT scheduled_compute_node.id FROM
scheduled_compute_node WHERE scheduled_compute_node.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_COMPUTE_NODE
DELETE FROM compute_node WHERE compute_node.id IN (SELECT compute_node.id FROM compute_node WHERE
compute_node.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_CLAIM
DELETE FROM claim WHERE claim.claim_id IN (SELECT claim.claim_id FROM claim WHERE claim.wf = :wf_ LIMIT
:limit_ OFFSET 0)

-- PURGE_JOB
DELETE FROM job WHERE job.id IN (SELECT job.id FROM job WHERE job.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_ACTION_JOB
DELETE FROM action_job WHERE (action_job.action_id, action_job.job_id) IN (SELECT action_job.action_id,
action_job.job_id FROM action_job WHERE action_job.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_DEP_MEMBER
DELETE FROM dep_member WHERE (dep_member.set_id, dep_member.job_id) IN (SELECT dep_member.set_id,
dep_member.job_id FROM dep_member WHERE dep_member.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_DEP_USE
DELETE FROM dep_use WHERE (dep_use.job_id, dep_use.set_id) IN (SELECT dep_use.job_id, dep_use.set_id FROM
dep_use WHERE dep_use.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_INPUT_USE
DELETE FROM input_use WHERE (input_use.job_id, input_use.set_id) IN (SELECT input_use.job_id, input_use.set_id
FROM input_use WHERE input_use.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_JOB_OUTPUT_FILE
DELETE FROM job_output_file WHERE (job_output_file.job_id, job_output_file.item_id) IN (SELECT
job_output_file.job_id, job_output_file.item_id FROM job_output_file WHERE job_output_file.wf = :wf_ LIMIT
:limit_ OFFSET 0)

-- PURGE_JOB_OUTPUT_USER_DATA
DELETE FROM job_output_user_data WHERE (job_output_user_data.job_id, job_output_user_data.item_id) IN (SELECT
job_output_user_data.job_id, job_output_user_data.item_id FROM job_output_user_data WHERE
job_output_user_data.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_RESULT
DELETE FROM result WHERE result.id IN (SELECT result.id FROM result WHERE result.wf = :wf_ LIMIT :limit_
OFFSET 0)

-- PURGE_SLURM_STATS
DELETE FROM slurm_stats WHERE slurm_stats.id IN (SELECT slurm_stats.id FROM slurm_stats WHERE slurm_stats.wf =
:wf_ LIMIT :limit_ OFFSET 0)

-- NEXT_IDS
UPDATE counter SET value=(counter.value + :count_) WHERE counter.kind = :kind_ RETURNING value

-- META
SELECT meta.value FROM meta WHERE meta.name = :name_

-- LEASE
SELECT server_lease.epoch, server_lease.host, server_lease.boot_id, server_lease.pid,
server_lease.process_start, server_lease.beat FROM server_lease

-- LEASE_EPOCH
SELECT server_lease.epoch FROM server_lease

-- TAKE_LEASE
UPDATE server_lease SET epoch=(server_lease.epoch + 1), host=:host_, boot_id=:boot_, pid=:pid_,
process_start=:start_, beat=:beat_ RETURNING epoch

-- BEAT_LEASE
UPDATE server_lease SET beat=:beat_

-- FREE_LEASE
UPDATE server_lease SET pid=0 WHERE server_lease.epoch = :epoch_

-- COUNT_JOBS
UPDATE status_count SET jobs=(status_count.jobs + :delta) WHERE status_count.wf = :wf_ AND status_count.status
= :status_

-- COUNT_READY
UPDATE job_class SET num_ready=(job_class.num_ready + :delta) WHERE job_class.id = :class_

-- COUNTS
SELECT status_count.status, status_count.jobs FROM status_count WHERE status_count.wf = :wf_ AND
status_count.jobs > 0

-- STAGED
SELECT group_concat(staged.name, char(10)) AS group_concat_1, group_concat(char(staged.status + 65), '') AS
group_concat_2, json_group_array(staged.exec_minutes) AS json_group_array_1 FROM (SELECT job.name AS name,
job.status AS status, result.exec_minutes AS exec_minutes FROM job LEFT OUTER JOIN result ON result.id =
job.result_id WHERE job.wf = :wf_ ORDER BY job.id) AS staged

-- SAMPLED
SELECT job.id, job.name, job.status, job.requirement_id, result.exec_minutes FROM job LEFT OUTER JOIN result
ON result.id = job.result_id WHERE job.wf = :wf_ AND job.id % :stride_ = 0 ORDER BY job.id

-- REVEAL
UPDATE workflow SET deleting=0 WHERE workflow.id = :wf_

-- HIDE
UPDATE workflow SET deleting=1 WHERE workflow.id = :wf_

-- HIDDEN
SELECT workflow.id FROM workflow WHERE workflow.deleting = 1

-- DROP
DELETE FROM workflow WHERE workflow.id = :wf_

-- DROP_COUNTS
DELETE FROM status_count WHERE status_count.wf = :wf_

-- DROP_EVENTS
DELETE FROM event WHERE event.id IN (SELECT event.id FROM event WHERE event.wf = :wf_ AND event.category !=
'workflow_deleted' LIMIT :limit_ OFFSET 0)

-- WORKFLOW_STATE
SELECT workflow.id, workflow.name, workflow.run_id, workflow.initialized_run, workflow.is_canceled,
workflow.is_archived, workflow.derived, workflow.compute_node_wait_for_healthy_database_minutes,
workflow.has_job_triggers, workflow.use_pending_failed, workflow.retry_on_node_loss, (SELECT
min(job.not_before) AS min_1 FROM job WHERE job.not_before IS NOT NULL) AS anon_1, EXISTS (SELECT * FROM
action_run WHERE action_run.wf = workflow.id AND action_run.state = 'triggered') AS anon_2, EXISTS (SELECT *
FROM task WHERE task.wf = workflow.id AND task.status IN ('queued', 'running')) AS anon_3,
workflow.api_access, workflow.capability_generation, workflow.first_start, workflow.summed FROM workflow WHERE
workflow.id = :wf_ AND workflow.deleting = 0

-- FRESH
SELECT job.status, job.unmet = 0 AS anon_1, count(*) AS count_1 FROM job WHERE job.wf = :wf_ AND job.status IN
(0, 1, 2, 10) GROUP BY job.status, job.unmet = 0

-- SUMS
SELECT workflow.exec_minutes, workflow.first_start, workflow.last_end, workflow.summed FROM workflow WHERE
workflow.id = :wf_

-- ADD_SUMS
UPDATE workflow SET exec_minutes=(workflow.exec_minutes + :minutes_),
first_start=coalesce(workflow.first_start, :start_), last_end=CASE WHEN (workflow.last_end > coalesce(:end_,
0)) THEN workflow.last_end ELSE coalesce(:end_, workflow.last_end) END WHERE workflow.id = :wf_

-- WRITE_SUM
UPDATE workflow SET exec_minutes=:minutes_, summed=1 WHERE workflow.id = :wf_

-- UNSUM
UPDATE workflow SET summed=0 WHERE workflow.id = :wf_

-- UNSUMMED
SELECT workflow.id FROM workflow WHERE workflow.summed = 0 AND workflow.deleting = 0

-- BEGIN_RUN
UPDATE workflow SET run_id=:run_, initialized_run=:run_, uses_gpus=(EXISTS (SELECT * FROM job_class, job WHERE
job_class.wf = :wf_ AND job_class.num_gpus > 0 AND job.class_id = job_class.id)), first_start=NULL,
last_end=NULL WHERE workflow.id = :wf_

-- SET_ALL_ANEW
UPDATE job SET status=CASE WHEN (job.unmet = 0) THEN 2 ELSE 1 END, run_id=:run_, attempt_id=1,
claimed_at=NULL, start_time=NULL, ready_since=CASE WHEN (job.unmet = 0) THEN :now_ ELSE NULL END, reason=NULL,
result_id=NULL, not_before=NULL, losses=0, origin=nullif(job.origin, 'retry') WHERE job.wf = :wf_ AND
job.status IN (0, 1, 2, 10)

-- SET_ANEW
UPDATE job SET status=:status_, unmet=:unmet_, run_id=:run_, attempt_id=1, claimed_at=NULL, start_time=NULL,
ready_since=:since_, reason=:reason_, result_id=NULL, not_before=NULL, losses=0, origin=nullif(job.origin,
'retry') WHERE job.id = :job_

-- NEXT_RUN
UPDATE job SET run_id=:run_, attempt_id=1 WHERE job.wf = :wf_ AND job.status = 2 AND job.run_id != :run_

-- COUNT_ALL_READY
UPDATE job_class SET num_ready=(SELECT count(*) AS count_1 FROM job WHERE job.wf = :wf_ AND job.class_id =
job_class.id AND job.status = 2 AND job.node_id IS NULL AND job.not_before IS NULL) WHERE job_class.wf = :wf_

-- ALL_JOBS
SELECT job.id, job.status, job.cancel_on_blocking_job_failure, job.name, job.unmet FROM job WHERE job.wf =
:wf_ ORDER BY job.id

-- STATES
SELECT job.id, job.status, job.run_id, job.attempt_id, job.node_id, job.lease, job.stop, job.reason,
job.claimed_at, job.wf, job.name, job.class_id, job.forked, job.missed, job.prefetched, job.priority,
job.result_id, job.not_before, job.failure_handler_id, job.losses FROM job WHERE job.wf = :wf_ ORDER BY job.id

-- OF_STATUS
SELECT job.id, job.status, job.run_id, job.attempt_id, job.node_id, job.lease, job.stop, job.reason,
job.claimed_at, job.wf, job.name, job.class_id, job.forked, job.missed, job.prefetched, job.priority,
job.result_id, job.not_before, job.failure_handler_id, job.losses FROM job WHERE job.wf = :wf_ AND job.status
= :code_ ORDER BY job.id

-- FIRST_DATA
UPDATE user_data SET data=user_data.initial_data WHERE user_data.wf = :wf_ AND user_data.is_ephemeral = 1 AND
substr(user_data.name, 1, 16) != '__torc_lineage__'

-- REQUIRED_FILES
SELECT file.id, file.wf, file.name, file.path, file.identifier, file.st_mtime, file.size, file.content_hash
FROM file WHERE file.wf = :wf_ AND ((EXISTS (SELECT * FROM input_member, input_set, input_use WHERE
input_member.item_id = file.id AND input_member.set_id = input_set.id AND input_set.kind = 'file' AND
input_use.set_id = input_set.id)) AND NOT (EXISTS (SELECT * FROM job_output_file WHERE job_output_file.item_id
= file.id)) OR (EXISTS (SELECT * FROM job_output_file, job WHERE job_output_file.item_id = file.id AND job.id
= job_output_file.job_id AND job.status = 5))) ORDER BY file.id

-- MISSING_USER_DATA
SELECT user_data.id, user_data.wf, user_data.name, user_data.data, user_data.is_ephemeral FROM user_data WHERE
user_data.wf = :wf_ AND user_data.data IS NULL AND NOT (EXISTS (SELECT * FROM job_output_user_data WHERE
job_output_user_data.item_id = user_data.id)) AND (EXISTS (SELECT * FROM input_member, input_set, input_use
WHERE input_member.item_id = user_data.id AND input_member.set_id = input_set.id AND input_set.kind =
'user_data' AND input_use.set_id = input_set.id)) ORDER BY user_data.id

-- UNWRITTEN_OUTPUT_DATA
SELECT DISTINCT user_data.id, user_data.wf, user_data.name, user_data.data, user_data.is_ephemeral FROM
user_data JOIN job_output_user_data ON job_output_user_data.item_id = user_data.id JOIN job ON job.id =
job_output_user_data.job_id WHERE user_data.wf = :wf_ AND user_data.data IS NULL AND job.status = 5

-- OF_NODE_JOBS
SELECT job.id, job.status, job.run_id, job.attempt_id, job.node_id, job.lease, job.stop, job.reason,
job.claimed_at, job.wf, job.name, job.class_id, job.forked, job.missed, job.prefetched, job.priority,
job.result_id, job.not_before, job.failure_handler_id, job.losses FROM job WHERE job.node_id = :node_ AND
job.wf = :wf_ ORDER BY job.id

-- INTERRUPTED
SELECT job.id, job.status, job.run_id, job.attempt_id, job.node_id, job.lease, job.stop, job.reason,
job.claimed_at, job.wf, job.name, job.class_id, job.forked, job.missed, job.prefetched, job.priority,
job.result_id, job.not_before, job.failure_handler_id, job.losses FROM job WHERE job.wf = :wf_ AND job.status
IN (6, 8) AND job.reason IS NOT NULL ORDER BY job.id

-- CALL_OFF_ALL
UPDATE workflow SET is_canceled=1 WHERE workflow.id = :wf_

-- WORKFLOW
SELECT workflow.id, workflow.name, workflow.user, workflow.description, workflow.project, workflow.metadata,
workflow.created_at, workflow.run_id, workflow.is_canceled, workflow.is_archived, workflow.env,
workflow.execution_config, workflow.resource_monitor_config, workflow.slurm_defaults, workflow.dynamic_jobs,
workflow.notify, workflow.report, workflow.api_access, workflow.use_pending_failed, workflow.enable_ro_crate,
workflow.retry_on_node_loss, workflow.compute_node_wait_for_new_jobs_seconds,
workflow.compute_node_ignore_workflow_completion, workflow.compute_node_wait_for_healthy_database_minutes,
workflow.compute_node_min_time_for_new_jobs_seconds, workflow.compute_node_expiration_buffer_seconds,
workflow.submission_directory, workflow.source_path, workflow.source_digest, workflow.uses_gpus,
workflow.initialized_run, workflow.slurm_config, workflow.submit_options, workflow.capability_generation FROM
workflow WHERE workflow.id = :wf_ AND workflow.deleting = 0

-- CURRENT_MINUTES
SELECT coalesce(sum(result.exec_minutes), 0.0) AS coalesce_1 FROM result JOIN job ON job.id = result.job_id
AND job.result_id = result.id WHERE result.wf = :wf_

-- FAILURES
SELECT coalesce(job.reason, 'exit_code') AS coalesce_1, count(*) AS count_1 FROM job WHERE job.wf = :wf_ AND
job.status = 6 GROUP BY coalesce(job.reason, 'exit_code')

-- JOB_STATE
SELECT job.id, job.status, job.run_id, job.attempt_id, job.node_id, job.lease, job.stop, job.reason,
job.claimed_at, job.wf, job.name, job.class_id, job.forked, job.missed, job.prefetched, job.priority,
job.result_id, job.not_before, job.failure_handler_id, job.losses FROM job WHERE job.id = :job_

-- JOB_STATES
SELECT job.id, job.status, job.run_id, job.attempt_id, job.node_id, job.lease, job.stop, job.reason,
job.claimed_at, job.wf, job.name, job.class_id, job.forked, job.missed, job.prefetched, job.priority,
job.result_id, job.not_before, job.failure_handler_id, job.losses FROM job WHERE job.id IN (SELECT
anon_1.value FROM json_each(:jobs_) AS anon_1)

-- END
UPDATE job SET status=:status_, node_id=NULL, lease=NULL, prefetched=0, forked=0, missed=0, recalled=0,
stop=0, reason=:reason_, result_id=:result_, not_before=NULL WHERE job.id = :job_ AND job.status = :was_

-- END_HELD
UPDATE job SET status=:status_, reason=:reason_, result_id=:result_ WHERE job.id = :job_ AND job.status =
:was_

-- CONFIRM
UPDATE job SET node_id=NULL, lease=NULL, prefetched=0, forked=0, missed=0, recalled=0, stop=0,
result_id=:result_, not_before=NULL WHERE job.id = :job_

-- POINT
UPDATE job SET result_id=:result_ WHERE job.id = :job_

-- AGAIN
UPDATE job SET status=:status_, attempt_id=:attempt_, node_id=NULL, lease=NULL, prefetched=0, forked=0,
missed=0, recalled=0, claimed_at=NULL, start_time=NULL, ready_since=:now_, stop=0, reason=NULL,
not_before=NULL WHERE job.id = :job_ AND job.status = :was_

-- EXPIRE
UPDATE job SET status=:status_, ready_since=:now_ WHERE job.id = :job_ AND job.status = :was_

-- START
UPDATE job SET status=:status_, node_id=:node_, prefetched=:prefetched_, start_time=:now_ WHERE job.id = :job_
AND job.status = :was_

-- HALT
UPDATE job SET status=:status_, stop=:stop_, reason=:reason_, not_before=NULL WHERE job.id = :job_ AND
job.status = :was_

-- CALL_OFF
UPDATE job SET status=:status_, node_id=NULL, lease=NULL, prefetched=0, forked=0, missed=0, recalled=0,
stop=0, reason=:reason_, not_before=NULL WHERE job.id = :job_ AND job.status = :was_

-- ORDER
UPDATE job SET stop=:stop_ WHERE job.id = :job_

-- STANDING
SELECT result.status, result.return_code, result.id, result.provisional, result.lease FROM result WHERE
result.job_id = :job_ AND result.run_id = :run_ AND result.attempt_id = :attempt_

-- FINGERPRINT
UPDATE file SET st_mtime=:mtime_, size=:size_, content_hash=CASE WHEN (:hash_ IS NULL AND file.st_mtime =
:mtime_ AND coalesce(file.size = :size_, 1) = 1) THEN file.content_hash ELSE :hash_ END WHERE file.id = :file_
AND file.wf = :wf_

-- MEMBERSHIPS
SELECT dep_member.set_id, dep_set.remaining, dep_set.bad FROM dep_member JOIN dep_set ON dep_set.id =
dep_member.set_id WHERE dep_member.job_id = :job_ ORDER BY dep_member.set_id

-- USES
SELECT dep_use.set_id FROM dep_use WHERE dep_use.job_id = :job_

-- USERS
SELECT job.id, job.status, job.unmet, job.cancel_on_blocking_job_failure, job.reason, job.claimed_at,
job.attempt_id, job.class_id, job.name, job.run_id, job.node_id FROM job JOIN dep_use ON dep_use.job_id =
job.id WHERE dep_use.set_id = :set_

-- SET_COUNTS
SELECT dep_set.remaining, dep_set.bad FROM dep_set WHERE dep_set.id = :set_

-- WRITE_SET
UPDATE dep_set SET remaining=:remaining_, bad=:bad_ WHERE dep_set.id = :set_

-- WRITE_UNMET
UPDATE job SET unmet=:unmet_ WHERE job.id = :job_

-- CANCEL_WAITER
UPDATE job SET status=7, unmet=:unmet_, reason=:reason_ WHERE job.id = :job_

-- FREE_WAITER
UPDATE job SET status=:status_, unmet=:unmet_, ready_since=:since_, reason=NULL WHERE job.id = :job_

-- LESSEN
UPDATE dep_set SET remaining=(dep_set.remaining - 1) WHERE dep_set.id IN (SELECT dep_member.set_id FROM
dep_member WHERE dep_member.job_id = :job_) RETURNING id, remaining

-- LESSEN_OTHERS
UPDATE job SET unmet=(job.unmet - 1) WHERE job.id IN (SELECT dep_use.job_id FROM dep_use WHERE dep_use.set_id
= :set_) AND job.status != 1

-- RELEASE
UPDATE job SET status=CASE WHEN (job.unmet = 1) THEN 2 ELSE job.status END, unmet=(job.unmet - 1),
ready_since=CASE WHEN (job.unmet = 1) THEN :now_ ELSE job.ready_since END WHERE job.id IN (SELECT
dep_use.job_id FROM dep_use WHERE dep_use.set_id = :set_) AND job.status = 1 RETURNING class_id, unmet, id,
node_id

-- READY_CLASSES
SELECT job_class.id, job_class.num_ready FROM job_class WHERE job_class.wf = :wf_ AND job_class.num_ready > 0

-- SHAPE
SELECT job_class.num_cpus, job_class.memory_bytes, job_class.num_gpus, job_class.num_nodes,
job_class.runtime_s, job_class.scheduler_id, job_class.label FROM job_class WHERE job_class.id = :class_

-- HEADS
SELECT job.id, job.priority, job.ready_since FROM job WHERE job.wf = :wf_ AND job.class_id = :class_ AND
job.status = 2 AND job.node_id IS NULL AND job.not_before IS NULL ORDER BY job.priority DESC, job.id LIMIT
:limit_ OFFSET 0

-- TAKE
UPDATE job SET status=:status_, node_id=:node_, lease=:lease_, prefetched=:prefetched_, claimed_at=:now_,
start_time=:start_ WHERE job.id IN (SELECT anon_1.value FROM json_each(:jobs_) AS anon_1) AND job.status = 2
AND job.node_id IS NULL AND job.not_before IS NULL RETURNING id, wf, name, command, invocation_script, env,
status, priority, cancel_on_blocking_job_failure, supports_termination, requirement_id, scheduler_id,
failure_handler_id, label, unmet, num_blockers, run_id, attempt_id, node_id, lease, prefetched, claimed_at,
start_time, ready_since, stop, reason, result_id, not_before, losses, input_hash, origin, lineage, spawned_by,
schedule_compute_nodes, class_id

-- LIVE_CLASSES
SELECT job.class_id, job.prefetched, count(*) AS count_1 FROM job WHERE job.node_id = :node_ GROUP BY
job.class_id, job.prefetched

-- USED
SELECT job.node_id, CAST(total(CASE WHEN (job_class.num_nodes > 1) THEN job_class.num_nodes *
compute_node.num_cpus ELSE job_class.num_cpus END) AS BIGINT) AS total_1, CAST(total(CASE WHEN
(job_class.num_nodes > 1) THEN job_class.num_nodes * compute_node.memory_bytes ELSE job_class.memory_bytes
END) AS BIGINT) AS total_2, CAST(total(CASE WHEN (job_class.num_nodes > 1) THEN job_class.num_nodes *
compute_node.num_gpus ELSE job_class.num_gpus END) AS BIGINT) AS total_3 FROM job JOIN job_class ON
job_class.id = job.class_id JOIN compute_node ON compute_node.id = job.node_id WHERE compute_node.wf = :wf_
AND compute_node.is_active = 1 AND job.prefetched = 0 GROUP BY job.node_id

-- ANY_OUTPUT
SELECT job_output_file.item_id FROM job_output_file WHERE job_output_file.wf = :wf_ LIMIT 1 OFFSET 0

-- ANY_SET
SELECT dep_set.id FROM dep_set WHERE dep_set.wf = :wf_ LIMIT 1 OFFSET 0

-- ANY_AHEAD
SELECT job.id FROM job WHERE job.node_id = :node_ AND job.prefetched = 1 LIMIT 1 OFFSET 0

-- OUTPUTS
SELECT file.id, file.name, file.path FROM file JOIN job_output_file ON job_output_file.item_id = file.id WHERE
job_output_file.job_id = :job_ ORDER BY file.id

-- CLAIM
SELECT claim.node_id, claim.job_ids FROM claim WHERE claim.claim_id = :claim_

-- JOB
SELECT job.id, job.wf, job.name, job.command, job.invocation_script, job.env, job.status, job.priority,
job.cancel_on_blocking_job_failure, job.supports_termination, job.requirement_id, job.scheduler_id,
job.failure_handler_id, job.label, job.unmet, job.num_blockers, job.run_id, job.attempt_id, job.node_id,
job.lease, job.prefetched, job.claimed_at, job.start_time, job.ready_since, job.stop, job.reason,
job.result_id, job.not_before, job.losses, job.input_hash, job.origin, job.lineage, job.spawned_by,
job.schedule_compute_nodes, job.class_id FROM job WHERE job.id = :job_

-- STARTED_AHEAD
SELECT job.id FROM job WHERE job.node_id = :node_ AND job.class_id = :class_ AND job.prefetched = 1 AND
job.status = 4 ORDER BY job.start_time, job.id

-- PLACE
UPDATE job SET prefetched=0 WHERE job.id = :job_

-- FORGET_CLAIMS
DELETE FROM claim WHERE claim.node_id = :node_ AND claim.created_at < :before_

-- BY_HAND
SELECT job.id, job.status, job.run_id, job.attempt_id, job.node_id, job.lease, job.stop, job.reason,
job.claimed_at, job.wf, job.name, job.class_id, job.forked, job.missed, job.prefetched, job.priority,
job.result_id, job.not_before, job.failure_handler_id, job.losses FROM job WHERE job.wf = :wf_ AND job.status
= 3 AND job.node_id IS NULL AND job.claimed_at <= :before_

-- CLAIMED_FOR
SELECT job.id, job.status, job.run_id, job.attempt_id, job.node_id, job.lease, job.stop, job.reason,
job.claimed_at, job.wf, job.name, job.class_id, job.forked, job.missed, job.prefetched, job.priority,
job.result_id, job.not_before, job.failure_handler_id, job.losses FROM claim JOIN json_each(claim.job_ids) AS
anon_1 ON 1 = 1 JOIN job ON job.id = anon_1.value WHERE claim.node_id = :node_ AND job.status = 3 AND
job.node_id IS NULL AND job.claimed_at = claim.created_at

-- HELD_AHEAD
SELECT job.id, job.priority, job.class_id FROM job WHERE job.wf = :wf_ AND job.status = 3 AND job.prefetched =
1 AND job.recalled = 0 AND job.node_id != :node_ ORDER BY job.priority, job.id DESC

-- RECALL
UPDATE job SET recalled=1 WHERE job.id = :job_

-- LISTED
UPDATE job SET missed=0 WHERE job.id = :job_

-- NODE
SELECT compute_node.id, compute_node.wf, compute_node.epoch, compute_node.hostname, compute_node.pid,
compute_node.boot_id, compute_node.process_start, compute_node.num_cpus, compute_node.memory_bytes,
compute_node.num_gpus, compute_node.gpu_ids, compute_node.num_nodes, compute_node.type, compute_node.label,
compute_node.scheduler_id, compute_node.output_dir, compute_node.time_limit, compute_node.is_active,
compute_node.start_time, compute_node.last_beat, compute_node.end_time, compute_node.state,
compute_node.on_lost, compute_node.lease_seconds, compute_node.beats, compute_node.draining,
compute_node.scheduler, compute_node.allocation_id, compute_node.restart_count, compute_node.duration_seconds,
compute_node.avg_cpu_percent, compute_node.peak_cpu_percent, compute_node.avg_memory_bytes,
compute_node.peak_memory_bytes, compute_node.sample_count FROM compute_node WHERE compute_node.id = :node_

-- ACTIVE_NODES
SELECT count(*) AS count_1 FROM compute_node WHERE compute_node.wf = :wf_ AND compute_node.is_active = 1

-- END_NODE
UPDATE compute_node SET is_active=0, end_time=:now_, avg_cpu_percent=coalesce(:avg_cpu_percent_,
compute_node.avg_cpu_percent), peak_cpu_percent=coalesce(:peak_cpu_percent_, compute_node.peak_cpu_percent),
avg_memory_bytes=coalesce(:avg_memory_bytes_, compute_node.avg_memory_bytes),
peak_memory_bytes=coalesce(:peak_memory_bytes_, compute_node.peak_memory_bytes),
sample_count=coalesce(:sample_count_, compute_node.sample_count), state='ended',
duration_seconds=coalesce(compute_node.duration_seconds, (:now_ - compute_node.start_time) / (1000.0 + 0.0))
WHERE compute_node.id = :node_ AND compute_node.state != 'ended' RETURNING id, wf, epoch, hostname, pid,
boot_id, process_start, num_cpus, memory_bytes, num_gpus, gpu_ids, num_nodes, type, label, scheduler_id,
output_dir, time_limit, is_active, start_time, last_beat, end_time, state, on_lost, lease_seconds, beats,
draining, scheduler, allocation_id, restart_count, duration_seconds, avg_cpu_percent, peak_cpu_percent,
avg_memory_bytes, peak_memory_bytes, sample_count

-- NODE_OF_EPOCH
SELECT compute_node.id, compute_node.wf, compute_node.epoch, compute_node.hostname, compute_node.pid,
compute_node.boot_id, compute_node.process_start, compute_node.num_cpus, compute_node.memory_bytes,
compute_node.num_gpus, compute_node.gpu_ids, compute_node.num_nodes, compute_node.type, compute_node.label,
compute_node.scheduler_id, compute_node.output_dir, compute_node.time_limit, compute_node.is_active,
compute_node.start_time, compute_node.last_beat, compute_node.end_time, compute_node.state,
compute_node.on_lost, compute_node.lease_seconds, compute_node.beats, compute_node.draining,
compute_node.scheduler, compute_node.allocation_id, compute_node.restart_count, compute_node.duration_seconds,
compute_node.avg_cpu_percent, compute_node.peak_cpu_percent, compute_node.avg_memory_bytes,
compute_node.peak_memory_bytes, compute_node.sample_count FROM compute_node WHERE compute_node.epoch = :epoch_
AND compute_node.wf = :wf_

-- BEAT
UPDATE compute_node SET last_beat=:now_ WHERE compute_node.id = :node_

-- NEWER_BEAT
UPDATE compute_node SET beat_number=:number_ WHERE compute_node.id = :node_ AND compute_node.beat_number <
:number_

-- MINE
SELECT job.id, job.status, job.run_id, job.attempt_id, job.node_id, job.lease, job.stop, job.reason,
job.claimed_at, job.wf, job.name, job.class_id, job.forked, job.missed, job.prefetched, job.priority,
job.result_id, job.not_before, job.failure_handler_id, job.losses FROM job WHERE job.node_id = :node_ ORDER BY
job.id

-- FORKED
UPDATE job SET forked=1 WHERE job.id = :job_

-- MISSED
UPDATE job SET missed=(job.missed + 1) WHERE job.id = :job_

-- ORDERS
SELECT job.id, job.status, job.priority, job.stop, job.prefetched, job.recalled FROM job WHERE job.node_id =
:node_ AND (job.stop != 0 OR job.prefetched = 1) ORDER BY job.id

-- KNOWN_JOB
SELECT job.id, job.status FROM job WHERE job.wf = :wf_ AND job.id IN (SELECT anon_1.value FROM
json_each(:jobs_) AS anon_1)

-- KNOWN_FILE
SELECT file.id, 0 FROM file WHERE file.wf = :wf_ AND file.id IN (SELECT anon_1.value FROM json_each(:jobs_) AS
anon_1)

-- KNOWN_USER_DATA
SELECT user_data.id, 0 FROM user_data WHERE user_data.wf = :wf_ AND user_data.id IN (SELECT anon_1.value FROM
json_each(:jobs_) AS anon_1)

-- KNOWN_RESOURCE_REQUIREMENTS
SELECT resource_requirements.id, 0 FROM resource_requirements WHERE resource_requirements.wf = :wf_ AND
resource_requirements.id IN (SELECT anon_1.value FROM json_each(:jobs_) AS anon_1)

-- KNOWN_SLURM_SCHEDULER
SELECT slurm_scheduler.id, 0 FROM slurm_scheduler WHERE slurm_scheduler.wf = :wf_ AND slurm_scheduler.id IN
(SELECT anon_1.value FROM json_each(:jobs_) AS anon_1)

-- KNOWN_FAILURE_HANDLER
SELECT failure_handler.id, 0 FROM failure_handler WHERE failure_handler.wf = :wf_ AND failure_handler.id IN
(SELECT anon_1.value FROM json_each(:jobs_) AS anon_1)

-- STATUS_OF
SELECT job.status FROM job WHERE job.id = :job_

-- NAME_OF
SELECT job.name FROM job WHERE job.id = :job_

-- DEP_SET_OF
SELECT dep_set.id FROM dep_set WHERE dep_set.wf = :wf_ AND dep_set.digest = :digest_

-- MEMBERS
SELECT dep_member.job_id FROM dep_member WHERE dep_member.set_id = :set_ ORDER BY dep_member.job_id

-- WRITE_COUNTERS
UPDATE job SET unmet=:unmet_, num_blockers=:blockers_ WHERE job.id = :job_

-- CLEAR_COUNTERS
UPDATE job SET unmet=0, num_blockers=0 WHERE job.wf = :wf_

-- ALL_MEMBERS
SELECT dep_member.set_id, dep_member.job_id FROM dep_member WHERE dep_member.wf = :wf_ ORDER BY
dep_member.set_id, dep_member.job_id

-- ALL_USES
SELECT dep_use.job_id, dep_use.set_id FROM dep_use WHERE dep_use.wf = :wf_ ORDER BY dep_use.job_id,
dep_use.set_id

-- OPEN_SETS
SELECT dep_set.id FROM dep_set WHERE dep_set.wf = :wf_ AND dep_set.remaining > 0

-- ADD_USE
INSERT INTO dep_use (job_id, set_id, wf, sources) VALUES (?, ?, ?, ?) ON CONFLICT (job_id, set_id) DO UPDATE
SET sources = dep_use.sources | excluded.sources

-- STRIP_USES
UPDATE dep_use SET sources=(dep_use.sources & :kept_) WHERE dep_use.wf = :wf_

-- STRIP_JOB_USES
UPDATE dep_use SET sources=(dep_use.sources & :kept_) WHERE dep_use.job_id = :job_

-- DROP_EMPTY_USES
DELETE FROM dep_use WHERE dep_use.wf = :wf_ AND dep_use.sources = 0

-- UNDERIVE
UPDATE workflow SET derived=0 WHERE workflow.id = :wf_

-- DERIVED
UPDATE workflow SET derived=1 WHERE workflow.id = :wf_

-- ANY_INPUT
SELECT input_set.id FROM input_set WHERE input_set.wf = :wf_ LIMIT 1 OFFSET 0

-- BLOCKER_SOURCES
SELECT dep_member.job_id, dep_use.sources FROM dep_member JOIN dep_use ON dep_use.set_id = dep_member.set_id
WHERE dep_use.job_id = :job_

-- INPUTS_FILE
SELECT input_member.item_id FROM input_member JOIN input_set ON input_set.id = input_member.set_id JOIN
input_use ON input_use.set_id = input_set.id WHERE input_use.job_id = :job_ AND input_set.kind = 'file'

-- INPUTS_USER_DATA
SELECT input_member.item_id FROM input_member JOIN input_set ON input_set.id = input_member.set_id JOIN
input_use ON input_use.set_id = input_set.id WHERE input_use.job_id = :job_ AND input_set.kind = 'user_data'

-- OUTPUTS_FILE
SELECT job_output_file.item_id FROM job_output_file WHERE job_output_file.job_id = :job_

-- OUTPUTS_USER_DATA
SELECT job_output_user_data.item_id FROM job_output_user_data WHERE job_output_user_data.job_id = :job_

-- INPUT_SET_OF
SELECT input_set.id FROM input_set WHERE input_set.wf = :wf_ AND input_set.kind = :kind_ AND input_set.digest
= :digest_

-- FORGET_SETS
UPDATE input_set SET dep_set_id=NULL WHERE input_set.wf = :wf_

-- REMEMBER_SET
UPDATE input_set SET dep_set_id=:set_ WHERE input_set.id = :input_

-- INPUT_USERS
SELECT input_use.job_id FROM input_use WHERE input_use.set_id = :set_

-- PRODUCERS_FILE
SELECT DISTINCT input_set.id, job_output_file.job_id FROM input_set JOIN input_member ON input_member.set_id =
input_set.id JOIN job_output_file ON job_output_file.item_id = input_member.item_id WHERE input_set.wf = :wf_
AND input_set.kind = 'file' ORDER BY input_set.id, job_output_file.job_id

-- PRODUCERS_USER_DATA
SELECT DISTINCT input_set.id, job_output_user_data.job_id FROM input_set JOIN input_member ON
input_member.set_id = input_set.id JOIN job_output_user_data ON job_output_user_data.item_id =
input_member.item_id WHERE input_set.wf = :wf_ AND input_set.kind = 'user_data' ORDER BY input_set.id,
job_output_user_data.job_id

-- DROP_UNUSED_MEMBERS
DELETE FROM dep_member WHERE dep_member.set_id IN (SELECT dep_set.id FROM dep_set WHERE dep_set.wf = :wf_ AND
NOT (EXISTS (SELECT * FROM dep_use WHERE dep_use.set_id = dep_set.id)))

-- DROP_UNUSED_SETS
DELETE FROM dep_set WHERE dep_set.id IN (SELECT dep_set.id FROM dep_set WHERE dep_set.wf = :wf_ AND NOT
(EXISTS (SELECT * FROM dep_use WHERE dep_use.set_id = dep_set.id)))

-- UNSHARE
UPDATE dep_set SET digest=NULL, size=(dep_set.size - 1) WHERE dep_set.id = :set_

-- DROP_MEMBERSHIPS
DELETE FROM dep_member WHERE dep_member.job_id = :job_

-- DROP_USES
DELETE FROM dep_use WHERE dep_use.job_id = :job_

-- DROP_INPUT_USES
DELETE FROM input_use WHERE input_use.job_id = :job_

-- DROP_INPUTS
DELETE FROM input_use WHERE input_use.job_id = :job_ AND input_use.set_id IN (SELECT input_set.id FROM
input_set WHERE input_set.id = input_use.set_id AND input_set.kind = :kind_)

-- DROP_JOB_OUTPUT_FILE
DELETE FROM job_output_file WHERE job_output_file.job_id = :job_

-- DROP_JOB_OUTPUT_USER_DATA
DELETE FROM job_output_user_data WHERE job_output_user_data.job_id = :job_

-- DROP_RESULTS
DELETE FROM result WHERE result.job_id = :job_

-- DROP_STATS
DELETE FROM slurm_stats WHERE slurm_stats.job_id = :job_

-- DROP_WATCHES
DELETE FROM action_job WHERE action_job.job_id = :job_

-- CLASS_OF
SELECT job_class.id FROM job_class WHERE job_class.wf = :wf_ AND job_class.num_cpus = :cpus_ AND
job_class.memory_bytes = :memory_ AND job_class.num_gpus = :gpus_ AND job_class.num_nodes = :nodes_ AND
job_class.runtime_s = :runtime_ AND coalesce(job_class.scheduler_id, 0) = coalesce(:scheduler_, 0) AND
coalesce(job_class.label, '') = coalesce(:label_, '')

-- ALONE_SETS
SELECT dep_set.id FROM dep_set WHERE dep_set.wf = :wf_ AND dep_set.digest IS NULL ORDER BY dep_set.id

-- USES_OF_SET
SELECT dep_use.job_id, dep_use.sources FROM dep_use WHERE dep_use.set_id = :set_ ORDER BY dep_use.job_id

-- DROP_USES_OF_SET
DELETE FROM dep_use WHERE dep_use.set_id = :set_

-- SHARE
UPDATE dep_set SET digest=:digest_ WHERE dep_set.id = :set_

-- WAITERS
SELECT job.id, job.name, job.num_blockers FROM job WHERE job.wf = :wf_ AND job.num_blockers > 0 ORDER BY
job.id

-- WAITING_FOR
SELECT dep_use.job_id FROM dep_use JOIN dep_member ON dep_member.set_id = dep_use.set_id WHERE
dep_member.job_id = :job_

-- BLOCKERS
SELECT DISTINCT dep_member.job_id, blocker.name FROM dep_member JOIN dep_use ON dep_use.set_id =
dep_member.set_id JOIN job AS blocker ON blocker.id = dep_member.job_id WHERE dep_use.job_id = :job_ ORDER BY
dep_member.job_id

-- FILE_JOBS
SELECT job.id, job.name FROM job WHERE job.wf = :wf_ AND ((EXISTS (SELECT * FROM job_output_file WHERE
job_output_file.job_id = job.id)) OR (EXISTS (SELECT * FROM input_use, input_set WHERE input_use.job_id =
job.id AND input_set.id = input_use.set_id AND input_set.kind = 'file')))

-- FILE_NAMES
SELECT file.id, file.name, file.path FROM file WHERE file.wf = :wf_

-- FILE_SETS
SELECT input_member.item_id, input_set.id FROM input_member JOIN input_set ON input_set.id =
input_member.set_id WHERE input_set.wf = :wf_ AND input_set.kind = 'file' ORDER BY input_member.item_id,
input_set.id

-- FILE_WRITERS
SELECT job_output_file.item_id, job_output_file.job_id FROM job_output_file WHERE job_output_file.wf = :wf_
ORDER BY job_output_file.item_id, job_output_file.job_id

-- USER_DATA_JOBS
SELECT job.id, job.name FROM job WHERE job.wf = :wf_ AND ((EXISTS (SELECT * FROM job_output_user_data WHERE
job_output_user_data.job_id = job.id)) OR (EXISTS (SELECT * FROM input_use, input_set WHERE input_use.job_id =
job.id AND input_set.id = input_use.set_id AND input_set.kind = 'user_data')))

-- USER_DATA_NAMES
SELECT user_data.id, user_data.name FROM user_data WHERE user_data.wf = :wf_

-- USER_DATA_SETS
SELECT input_member.item_id, input_set.id FROM input_member JOIN input_set ON input_set.id =
input_member.set_id WHERE input_set.wf = :wf_ AND input_set.kind = 'user_data' ORDER BY input_member.item_id,
input_set.id

-- USER_DATA_WRITERS
SELECT job_output_user_data.item_id, job_output_user_data.job_id FROM job_output_user_data WHERE
job_output_user_data.wf = :wf_ ORDER BY job_output_user_data.item_id, job_output_user_data.job_id

-- DOWNSTREAM
WITH RECURSIVE reached (kind, id) AS ( SELECT 0, value FROM json_each(:jobs_) UNION SELECT 1 - reached.kind,
coalesce(dep_member.set_id, dep_use.job_id) FROM reached LEFT JOIN dep_member ON reached.kind = 0 AND
dep_member.job_id = reached.id LEFT JOIN dep_use ON reached.kind = 1 AND dep_use.set_id = reached.id WHERE
coalesce(dep_member.set_id, dep_use.job_id) IS NOT NULL) SELECT id FROM reached WHERE kind = 0

-- SET_BACK
UPDATE job SET status=0, attempt_id=(job.attempt_id + CASE WHEN (job.result_id IS NOT NULL OR job.status = 4
OR job.stop != 0) THEN 1 ELSE 0 END), node_id=NULL, lease=NULL, prefetched=0, forked=0, missed=0, recalled=0,
claimed_at=NULL, start_time=NULL, ready_since=NULL, stop=0, reason=NULL, result_id=NULL, not_before=NULL WHERE
job.id IN (SELECT anon_1.value FROM json_each(:jobs_) AS anon_1)

-- SET_BACK_HELD
UPDATE job SET status=0, attempt_id=(job.attempt_id + CASE WHEN (job.result_id IS NOT NULL OR job.status = 4
OR job.stop != 0) THEN 1 ELSE 0 END), claimed_at=NULL, start_time=NULL, ready_since=NULL, stop=1, reason=NULL,
result_id=NULL, not_before=NULL WHERE job.id IN (SELECT anon_1.value FROM json_each(:jobs_) AS anon_1)

-- PUT
UPDATE job SET status=:status_, run_id=:run_, attempt_id=:attempt_, node_id=NULL, lease=NULL, prefetched=0,
forked=0, missed=0, recalled=0, claimed_at=:claimed_, start_time=:start_, ready_since=:since_, stop=0,
reason=NULL, result_id=:result_, not_before=NULL WHERE job.id = :job_ AND job.status = :was_

-- PUT_HELD
UPDATE job SET status=:status_, run_id=:run_, attempt_id=:attempt_, claimed_at=:claimed_, start_time=:start_,
ready_since=:since_, stop=:stop_, reason=NULL, result_id=:result_, not_before=NULL WHERE job.id = :job_ AND
job.status = :was_

-- PUT_LIVE
UPDATE job SET status=:status_, start_time=:start_ WHERE job.id = :job_ AND job.status = :was_

-- REVIVED
UPDATE job SET origin=coalesce(job.origin, 'retry') WHERE job.id = :job_

-- RECOUNT_SETS
UPDATE dep_set SET remaining=(SELECT count(*) AS count_1 FROM dep_member JOIN job AS blocker ON blocker.id =
dep_member.job_id WHERE dep_member.set_id = dep_set.id AND blocker.status IN (0, 1, 2, 3, 4, 10)), bad=(SELECT
count(*) AS count_2 FROM dep_member JOIN job AS blocker ON blocker.id = dep_member.job_id WHERE
dep_member.set_id = dep_set.id AND blocker.status IN (6, 7, 8)) WHERE dep_set.wf = :wf_

-- RECOUNT_WAITERS
UPDATE job SET unmet=(SELECT count(*) AS count_1 FROM dep_use JOIN dep_set ON dep_set.id = dep_use.set_id
WHERE dep_use.job_id = job.id AND dep_set.remaining > 0) WHERE job.id IN (SELECT dep_use.job_id FROM dep_use
WHERE dep_use.wf = :wf_)

-- DEFINITIONS
SELECT job.id, job.command, job.invocation_script, job.env, job.input_hash FROM job WHERE job.wf = :wf_ AND
job.id > :after_ ORDER BY job.id LIMIT :limit_ OFFSET 0

-- DEFINITIONS_OF
SELECT job.id, job.command, job.invocation_script, job.env, job.input_hash FROM job WHERE job.wf = :wf_ AND
job.id IN (SELECT anon_1.value FROM json_each(:jobs_) AS anon_1) ORDER BY job.id

-- READ_SETS_OF
SELECT input_use.job_id, input_use.set_id FROM input_use WHERE input_use.job_id IN (SELECT anon_1.value FROM
json_each(:jobs_) AS anon_1) ORDER BY input_use.job_id, input_use.set_id

-- WRITES_OF_JOBS
SELECT job_output_file.job_id, job_output_file.item_id FROM job_output_file WHERE job_output_file.job_id IN
(SELECT anon_1.value FROM json_each(:jobs_) AS anon_1) UNION ALL SELECT job_output_user_data.job_id,
-job_output_user_data.item_id FROM job_output_user_data WHERE job_output_user_data.job_id IN (SELECT
anon_1.value FROM json_each(:jobs_) AS anon_1)

-- ANY_OUTPUT_DATA
SELECT job_output_user_data.item_id FROM job_output_user_data WHERE job_output_user_data.wf = :wf_ LIMIT 1
OFFSET 0

-- SET_DIGESTS
SELECT dep_set.id, dep_set.digest FROM dep_set WHERE dep_set.wf = :wf_

-- DIGESTS_OF
SELECT dep_set.id, dep_set.digest FROM dep_set WHERE dep_set.id IN (SELECT anon_1.value FROM json_each(:jobs_)
AS anon_1)

-- INPUT_ITEMS
SELECT input_set.id, input_set.kind, input_member.item_id FROM input_set JOIN input_member ON
input_member.set_id = input_set.id WHERE input_set.wf = :wf_ ORDER BY input_set.id, input_member.item_id

-- ITEMS_OF
SELECT input_set.id, input_set.kind, input_member.item_id FROM input_set JOIN input_member ON
input_member.set_id = input_set.id WHERE input_set.id IN (SELECT anon_1.value FROM json_each(:jobs_) AS
anon_1) ORDER BY input_set.id, input_member.item_id

-- READ_DATA
SELECT user_data.id, CASE WHEN (user_data.is_ephemeral = 1) THEN user_data.initial_data ELSE user_data.data
END AS anon_1 FROM user_data WHERE user_data.wf = :wf_ AND user_data.id IN (SELECT input_member.item_id FROM
input_member JOIN input_set ON input_set.id = input_member.set_id WHERE input_member.wf = :wf_ AND
input_set.kind = 'user_data')

-- DATA_OF
SELECT user_data.id, CASE WHEN (user_data.is_ephemeral = 1) THEN user_data.initial_data ELSE user_data.data
END AS anon_1 FROM user_data WHERE user_data.id IN (SELECT anon_2.value FROM json_each(:jobs_) AS anon_2)

-- ANY_DATA
SELECT user_data.id FROM user_data WHERE user_data.wf = :wf_ LIMIT 1 OFFSET 0

-- READERS_OF_DATA
SELECT DISTINCT input_use.job_id FROM input_use JOIN input_set ON input_set.id = input_use.set_id WHERE
input_use.job_id IN (SELECT anon_1.value FROM json_each(:jobs_) AS anon_1) AND input_set.kind = 'user_data'
ORDER BY input_use.job_id

-- UNHASHED
SELECT job.id FROM job WHERE job.wf = :wf_ AND job.input_hash IS NULL AND job.status IN (1, 2, 7)

-- KEEP_HASH
UPDATE job SET input_hash=:hash_ WHERE job.id = :job_

-- FILES_OF
SELECT file.id, file.wf, file.name, file.path, file.identifier, file.st_mtime, file.size, file.content_hash
FROM file WHERE file.wf = :wf_ AND file.id IN (SELECT anon_1.value FROM json_each(:jobs_) AS anon_1)

-- FILE_READERS
SELECT input_member.item_id, input_use.job_id FROM input_member JOIN input_use ON input_use.set_id =
input_member.set_id JOIN input_set ON input_set.id = input_member.set_id WHERE input_member.item_id IN (SELECT
anon_1.value FROM json_each(:jobs_) AS anon_1) AND input_set.wf = :wf_ AND input_set.kind = 'file'

-- WRITERS_OF
SELECT job_output_file.item_id, job_output_file.job_id FROM job_output_file WHERE job_output_file.item_id IN
(SELECT anon_1.value FROM json_each(:jobs_) AS anon_1)

-- OUTPUTS_TO_COME
SELECT DISTINCT file.id, file.wf, file.name, file.path, file.identifier, file.st_mtime, file.size,
file.content_hash FROM file JOIN job_output_file ON job_output_file.item_id = file.id JOIN job ON job.id =
job_output_file.job_id WHERE file.wf = :wf_ AND file.id IN (SELECT anon_1.value FROM json_each(:jobs_) AS
anon_1) AND (:all_ = 1 OR job.status IN (0, 1, 2, 10)) ORDER BY file.id

-- REOPEN
UPDATE workflow SET is_canceled=0 WHERE workflow.id = :wf_

-- RAISE_RUN
UPDATE workflow SET run_id=:run_ WHERE workflow.id = :wf_

-- ARCHIVE
UPDATE workflow SET is_archived=:archived_ WHERE workflow.id = :wf_

-- ORDER_LIVE
UPDATE job SET stop=1 WHERE job.wf = :wf_ AND job.status IN (3, 4) AND job.node_id IS NOT NULL

-- READY_NEEDS
SELECT CAST(total(job_class.num_ready) AS BIGINT) AS total_1, CAST(total(job_class.num_ready *
job_class.num_cpus) AS BIGINT) AS total_2, CAST(total(job_class.num_ready * job_class.num_gpus) AS BIGINT) AS
total_3, CAST(total(job_class.num_ready * job_class.memory_bytes) AS BIGINT) AS total_4,
coalesce(max(job_class.num_nodes), 0) AS coalesce_1, coalesce(max(job_class.runtime_s), 0) AS coalesce_2 FROM
job_class WHERE job_class.wf = :wf_ AND job_class.num_ready > 0 AND (:scheduler_ IS NULL OR
job_class.scheduler_id = :scheduler_)

-- USES_OF
SELECT dep_use.job_id, dep_use.set_id FROM dep_use WHERE dep_use.job_id IN (SELECT anon_1.value FROM
json_each(:jobs_) AS anon_1) ORDER BY dep_use.job_id, dep_use.set_id

-- MEMBERS_OF
SELECT dep_member.set_id, dep_member.job_id FROM dep_member WHERE dep_member.set_id IN (SELECT anon_1.value
FROM json_each(:jobs_) AS anon_1) ORDER BY dep_member.set_id, dep_member.job_id

-- READS_OF
SELECT input_use.job_id, input_set.kind, input_member.item_id FROM input_use JOIN input_set ON input_set.id =
input_use.set_id JOIN input_member ON input_member.set_id = input_set.id WHERE input_use.job_id IN (SELECT
anon_1.value FROM json_each(:jobs_) AS anon_1)

-- PRESENT
SELECT job.id FROM job JOIN workflow ON workflow.id = job.wf WHERE job.id IN (SELECT anon_1.value FROM
json_each(:jobs_) AS anon_1) AND workflow.deleting = 0

-- STATES_OF
SELECT job.id, job.status, job.run_id, job.attempt_id, job.node_id, job.lease, job.stop, job.reason,
job.claimed_at, job.wf, job.name, job.class_id, job.forked, job.missed, job.prefetched, job.priority,
job.result_id, job.not_before, job.failure_handler_id, job.losses FROM job WHERE job.wf = :wf_ AND job.id IN
(SELECT anon_1.value FROM json_each(:jobs_) AS anon_1) ORDER BY job.id

-- ALL_WORKFLOW
SELECT workflow.id, workflow.name, workflow.user, workflow.description, workflow.project, workflow.metadata,
workflow.created_at, workflow.run_id, workflow.is_canceled, workflow.is_archived, workflow.env,
workflow.execution_config, workflow.resource_monitor_config, workflow.slurm_defaults, workflow.dynamic_jobs,
workflow.notify, workflow.report, workflow.api_access, workflow.use_pending_failed, workflow.enable_ro_crate,
workflow.retry_on_node_loss, workflow.compute_node_wait_for_new_jobs_seconds,
workflow.compute_node_ignore_workflow_completion, workflow.compute_node_wait_for_healthy_database_minutes,
workflow.compute_node_min_time_for_new_jobs_seconds, workflow.compute_node_expiration_buffer_seconds,
workflow.submission_directory, workflow.source_path, workflow.source_digest, workflow.uses_gpus,
workflow.initialized_run, workflow.slurm_config, workflow.submit_options, workflow.capability_generation FROM
workflow

-- ALL_JOB
SELECT job.id, job.wf, job.name, job.command, job.invocation_script, job.env, job.status, job.priority,
job.cancel_on_blocking_job_failure, job.supports_termination, job.requirement_id, job.scheduler_id,
job.failure_handler_id, job.label, job.unmet, job.num_blockers, job.run_id, job.attempt_id, job.node_id,
job.lease, job.prefetched, job.claimed_at, job.start_time, job.ready_since, job.stop, job.reason,
job.result_id, job.not_before, job.losses, job.input_hash, job.origin, job.lineage, job.spawned_by,
job.schedule_compute_nodes FROM job

-- ALL_FILE
SELECT file.id, file.wf, file.name, file.path, file.identifier, file.st_mtime, file.size, file.content_hash
FROM file

-- ALL_USER_DATA
SELECT user_data.id, user_data.wf, user_data.name, user_data.data, user_data.is_ephemeral FROM user_data

-- ALL_RESOURCE_REQUIREMENTS
SELECT resource_requirements.id, resource_requirements.wf, resource_requirements.name,
resource_requirements.num_cpus, resource_requirements.num_gpus, resource_requirements.num_nodes,
resource_requirements.memory, resource_requirements.runtime, resource_requirements.memory_bytes,
resource_requirements.runtime_s FROM resource_requirements

-- ALL_FAILURE_HANDLER
SELECT failure_handler.id, failure_handler.wf, failure_handler.name, failure_handler.rules FROM
failure_handler

-- ALL_SLURM_SCHEDULER
SELECT slurm_scheduler.id, slurm_scheduler.wf, slurm_scheduler.name, slurm_scheduler.fields FROM
slurm_scheduler

-- ALL_WORKFLOW_ACTION
SELECT workflow_action.id, workflow_action.wf, workflow_action.trigger_type, workflow_action.trigger_mode,
workflow_action.action_type, workflow_action.action_config, workflow_action.persistent,
workflow_action.is_recovery, workflow_action.required_triggers, workflow_action.trigger_count FROM
workflow_action

-- ALL_RESULT
SELECT result.id, result.wf, result.job_id, result.run_id, result.attempt_id, result.node_id, result.status,
result.return_code, result.reason, result.exec_minutes, result.completed_at, result.peak_memory_bytes,
result.avg_memory_bytes, result.peak_cpu_percent, result.avg_cpu_percent, result.provisional, result.lease,
job.name, coalesce(job.result_id = result.id, 0) AS coalesce_1 FROM result JOIN job ON job.id = result.job_id

-- ALL_EVENT
SELECT event.id, event.wf, event.timestamp, event.category, event.severity, event.data FROM event

-- ALL_COMPUTE_NODE
SELECT compute_node.id, compute_node.wf, compute_node.epoch, compute_node.hostname, compute_node.pid,
compute_node.boot_id, compute_node.process_start, compute_node.num_cpus, compute_node.memory_bytes,
compute_node.num_gpus, compute_node.gpu_ids, compute_node.num_nodes, compute_node.type, compute_node.label,
compute_node.scheduler_id, compute_node.output_dir, compute_node.time_limit, compute_node.is_active,
compute_node.start_time, compute_node.last_beat, compute_node.end_time, compute_node.state,
compute_node.on_lost, compute_node.lease_seconds, compute_node.beats, compute_node.draining,
compute_node.scheduler, compute_node.allocation_id, compute_node.restart_count, compute_node.duration_seconds,
compute_node.avg_cpu_percent, compute_node.peak_cpu_percent, compute_node.avg_memory_bytes,
compute_node.peak_memory_bytes, compute_node.sample_count FROM compute_node

-- ALL_SCHEDULED_COMPUTE_NODE
SELECT scheduled_compute_node.id, scheduled_compute_node.wf, scheduled_compute_node.scheduler_config_id,
scheduled_compute_node.scheduler_type, scheduled_compute_node.scheduler_id, scheduled_compute_node.status,
scheduled_compute_node.submission_key, scheduled_compute_node.action_run_id, scheduled_compute_node.ordinal,
scheduled_compute_node.nodes, scheduled_compute_node.walltime, scheduled_compute_node.submitted_by,
scheduled_compute_node.submitted_at, scheduled_compute_node.reason, scheduled_compute_node.request_id FROM
scheduled_compute_node

-- ALL_REMOTE_WORKER
SELECT remote_worker.id, remote_worker.wf, remote_worker.worker, remote_worker.label, remote_worker.options
FROM remote_worker

-- ALL_SLURM_STATS
SELECT slurm_stats.id, slurm_stats.wf, slurm_stats.job_id, slurm_stats.run_id, slurm_stats.attempt_id,
slurm_stats.slurm_job_id, slurm_stats.node_list, slurm_stats.ave_cpu_seconds, slurm_stats.max_rss_bytes,
slurm_stats.max_vm_size_bytes, slurm_stats.max_disk_read_bytes, slurm_stats.max_disk_write_bytes FROM
slurm_stats

-- ALL_ACTION_RUN
SELECT action_run.id, action_run.wf, action_run.action_id, action_run.run_id, action_run.node_id,
action_run.state, action_run.claim_id, action_run.claimed_by, action_run.claimed_at, action_run.progress,
action_run.error FROM action_run

-- ALL_TASK
SELECT task.id, task.wf, task.name, task.options, task.status, task.created_at, task.started_at,
task.finished_at, task.error FROM task

-- ALL_LOCAL_SCHEDULER
SELECT local_scheduler.id, local_scheduler.wf, local_scheduler.name, local_scheduler.memory,
local_scheduler.num_cpus FROM local_scheduler

-- ALL_RO_CRATE_ENTITY
SELECT ro_crate_entity.id, ro_crate_entity.wf, ro_crate_entity.entity_id, ro_crate_entity.entity_type,
ro_crate_entity.file_id, ro_crate_entity.metadata FROM ro_crate_entity

-- ALL_ACCESS_GROUP
SELECT access_group.id, access_group.name, access_group.description, access_group.is_system,
access_group.created_at FROM access_group

-- ALL_USER_GROUP_MEMBERSHIP
SELECT user_group_membership.id, user_group_membership.group_id, user_group_membership.user_name,
user_group_membership.role, user_group_membership.created_at FROM user_group_membership

-- ALL_WORKFLOW_ACCESS_GROUP
SELECT workflow_access_group.id, workflow_access_group.wf, workflow_access_group.group_id,
workflow_access_group.level, workflow_access_group.created_at FROM workflow_access_group

-- ALL_TOKEN
SELECT token.id, token."key", token.digest, token.user, token.access_class, token.workflows, token.created_at,
token.expires_at, token.revoked_at FROM token

-- ALL_AUDIT
SELECT audit.id, audit.timestamp, audit.operation, audit.principal, audit.established, audit.peer,
audit.object, audit.outcome, audit.detail, audit.request_id FROM audit

-- ACTION_JOBS
SELECT action_job.job_id FROM action_job WHERE action_job.action_id = :action_ ORDER BY action_job.job_id

-- REQUIREMENT
SELECT resource_requirements.id, resource_requirements.wf, resource_requirements.name,
resource_requirements.num_cpus, resource_requirements.num_gpus, resource_requirements.num_nodes,
resource_requirements.memory, resource_requirements.runtime, resource_requirements.memory_bytes,
resource_requirements.runtime_s FROM resource_requirements WHERE resource_requirements.id = :id_

-- DEFAULT_REQUIREMENT
SELECT resource_requirements.id FROM resource_requirements WHERE resource_requirements.wf = :wf_ AND
resource_requirements.name = 'default' ORDER BY resource_requirements.id LIMIT 1 OFFSET 0

-- TAKEN_JOB
SELECT job.name, job.id FROM job WHERE job.wf = :wf_ AND job.name IN (SELECT anon_1.value FROM
json_each(:names_) AS anon_1) ORDER BY job.id

-- TAKEN_FILE
SELECT file.name, file.id FROM file WHERE file.wf = :wf_ AND file.name IN (SELECT anon_1.value FROM
json_each(:names_) AS anon_1) ORDER BY file.id

-- TAKEN_USER_DATA
SELECT user_data.name, user_data.id FROM user_data WHERE user_data.wf = :wf_ AND user_data.name IN (SELECT
anon_1.value FROM json_each(:names_) AS anon_1) ORDER BY user_data.id

-- TAKEN_FAILURE_HANDLER
SELECT failure_handler.name, failure_handler.id FROM failure_handler WHERE failure_handler.wf = :wf_ AND
failure_handler.name IN (SELECT anon_1.value FROM json_each(:names_) AS anon_1) ORDER BY failure_handler.id

-- TAKEN_RESOURCE_REQUIREMENTS
SELECT resource_requirements.name, resource_requirements.id FROM resource_requirements WHERE
resource_requirements.wf = :wf_ AND resource_requirements.name IN (SELECT anon_1.value FROM json_each(:names_)
AS anon_1) ORDER BY resource_requirements.id

-- JOBS_BETWEEN
SELECT job.id, job.wf, job.name, job.command, job.invocation_script, job.env, job.status, job.priority,
job.cancel_on_blocking_job_failure, job.supports_termination, job.requirement_id, job.scheduler_id,
job.failure_handler_id, job.label, job.unmet, job.num_blockers, job.run_id, job.attempt_id, job.node_id,
job.lease, job.prefetched, job.claimed_at, job.start_time, job.ready_since, job.stop, job.reason,
job.result_id, job.not_before, job.losses, job.input_hash, job.origin, job.lineage, job.spawned_by,
job.schedule_compute_nodes FROM job WHERE job.id BETWEEN :first_ AND :last_ ORDER BY job.id

-- GIVE_REQUIREMENT
UPDATE job SET requirement_id=:other_ WHERE job.requirement_id = :id_ AND job.wf = :wf_

-- FORGET_NODE_SCHEDULER
UPDATE compute_node SET scheduler_id=NULL WHERE compute_node.scheduler_id = :id_

-- FORGET_ALLOCATION_SCHEDULER
UPDATE scheduled_compute_node SET scheduler_config_id=NULL WHERE scheduled_compute_node.scheduler_config_id =
:id_

-- DROP_SCHEDULER_CLASSES
DELETE FROM job_class WHERE job_class.scheduler_id = :id_

-- FORGET_ENTITY_FILE
UPDATE ro_crate_entity SET file_id=NULL WHERE ro_crate_entity.file_id = :id_

-- FILE_USED
SELECT file.id FROM file WHERE file.id = :id_ AND ((EXISTS (SELECT * FROM job_output_file WHERE
job_output_file.item_id = file.id)) OR (EXISTS (SELECT * FROM input_member, input_set, input_use WHERE
input_member.item_id = file.id AND input_member.set_id = input_set.id AND input_set.kind = 'file' AND
input_use.set_id = input_set.id)))

-- GROUP_NAMED
SELECT access_group.id FROM access_group WHERE access_group.name = :name_

-- DROP_MEMBERS
DELETE FROM user_group_membership WHERE user_group_membership.group_id = :id_

-- DROP_LINKS
DELETE FROM workflow_access_group WHERE workflow_access_group.group_id = :id_

-- SWITCH
UPDATE job SET status=:status_, ready_since=NULL, not_before=NULL WHERE job.id = :job_ AND job.status = :was_

-- NEEDED
SELECT resource_requirements.num_cpus, resource_requirements.memory_bytes, resource_requirements.num_gpus,
resource_requirements.num_nodes, resource_requirements.runtime_s, job.scheduler_id, job.label FROM
resource_requirements JOIN job ON job.requirement_id = resource_requirements.id WHERE job.id = :job_

-- RECLASS
UPDATE job SET class_id=:class_ WHERE job.id = :job_

-- CLASSES_OF
SELECT DISTINCT job.class_id FROM job WHERE job.requirement_id = :id_

-- RECLASS_ALL
UPDATE job SET class_id=:class_ WHERE job.requirement_id = :id_ AND job.class_id = :old_

-- FORGET_RESULT
UPDATE job SET result_id=NULL WHERE job.id = :job_ AND job.result_id = :result_

-- FORGET_HANDLER
UPDATE job SET failure_handler_id=NULL WHERE job.wf = :wf_ AND job.failure_handler_id = :id_

-- OF_SCHEDULER_JOBS
SELECT job.id, job.status, job.run_id, job.attempt_id, job.node_id, job.lease, job.stop, job.reason,
job.claimed_at, job.wf, job.name, job.class_id, job.forked, job.missed, job.prefetched, job.priority,
job.result_id, job.not_before, job.failure_handler_id, job.losses FROM job WHERE job.wf = :wf_ AND
job.scheduler_id = :id_

-- FORGET_NODE_CLAIMS
DELETE FROM claim WHERE claim.node_id = :node_

-- SETS_OF_ITEM
SELECT input_set.id FROM input_set JOIN input_member ON input_member.set_id = input_set.id WHERE
input_member.item_id = :id_ AND input_set.kind = :kind_

-- DROP_ITEM
DELETE FROM input_member WHERE input_member.set_id = :set_ AND input_member.item_id = :id_

-- UNSHARE_INPUT
UPDATE input_set SET digest=:digest_, size=(input_set.size - 1) WHERE input_set.id = :set_

-- CLASS_OF_JOB
SELECT job.class_id FROM job WHERE job.id = :job_

-- VISIBLE
SELECT workflow.id FROM workflow WHERE workflow.deleting = 0 ORDER BY workflow.id

-- ALL_RULES
SELECT failure_handler.rules FROM failure_handler WHERE failure_handler.wf = :wf_ ORDER BY failure_handler.id

-- FREE
UPDATE job SET node_id=NULL, lease=NULL, prefetched=0, forked=0, missed=0, recalled=0, stop=0, not_before=NULL
WHERE job.id = :job_

-- EXPLAIN
UPDATE job SET reason=:reason_ WHERE job.id = :job_

-- REPLACE_RESULT
UPDATE result SET node_id=coalesce(:node_, result.node_id), status=:status_, return_code=:code_,
reason=:reason_, exec_minutes=:minutes_, completed_at=:completed_, peak_memory_bytes=:peak_memory_,
avg_memory_bytes=:avg_memory_, peak_cpu_percent=:peak_cpu_, avg_cpu_percent=:avg_cpu_, provisional=0 WHERE
result.id = :id_

-- DOUBTFUL
SELECT job.id, compute_node.id AS id_1, compute_node.wf, compute_node.epoch, compute_node.hostname,
compute_node.pid, compute_node.boot_id, compute_node.process_start, compute_node.num_cpus,
compute_node.memory_bytes, compute_node.num_gpus, compute_node.gpu_ids, compute_node.num_nodes,
compute_node.type, compute_node.label, compute_node.scheduler_id, compute_node.output_dir,
compute_node.time_limit, compute_node.is_active, compute_node.start_time, compute_node.last_beat,
compute_node.end_time, compute_node.state, compute_node.on_lost, compute_node.lease_seconds,
compute_node.beats, compute_node.draining, compute_node.scheduler, compute_node.allocation_id,
compute_node.restart_count, compute_node.duration_seconds, compute_node.avg_cpu_percent,
compute_node.peak_cpu_percent, compute_node.avg_memory_bytes, compute_node.peak_memory_bytes,
compute_node.sample_count FROM job JOIN result ON result.id = job.result_id AND result.provisional = 1 JOIN
compute_node ON compute_node.id = result.node_id WHERE job.wf = :wf_ AND job.status = 6 AND compute_node.wf =
:wf_ AND compute_node.on_lost = 'drain' AND compute_node.state != 'ended' ORDER BY job.id

-- ANY_DOUBT
SELECT compute_node.id FROM compute_node WHERE compute_node.wf = :wf_ AND compute_node.state != 'ended' LIMIT
1 OFFSET 0

-- PREDECESSORS
SELECT compute_node.id, compute_node.wf, compute_node.epoch, compute_node.hostname, compute_node.pid,
compute_node.boot_id, compute_node.process_start, compute_node.num_cpus, compute_node.memory_bytes,
compute_node.num_gpus, compute_node.gpu_ids, compute_node.num_nodes, compute_node.type, compute_node.label,
compute_node.scheduler_id, compute_node.output_dir, compute_node.time_limit, compute_node.is_active,
compute_node.start_time, compute_node.last_beat, compute_node.end_time, compute_node.state,
compute_node.on_lost, compute_node.lease_seconds, compute_node.beats, compute_node.draining,
compute_node.scheduler, compute_node.allocation_id, compute_node.restart_count, compute_node.duration_seconds,
compute_node.avg_cpu_percent, compute_node.peak_cpu_percent, compute_node.avg_memory_bytes,
compute_node.peak_memory_bytes, compute_node.sample_count FROM compute_node WHERE compute_node.wf = :wf_ AND
compute_node.state != 'ended' AND (compute_node.hostname = :hostname_ AND compute_node.boot_id != :boot_id_ OR
compute_node.allocation_id = :allocation_ OR compute_node.scheduler LIKE :worker_ OR compute_node.scheduler
LIKE :number_) ORDER BY compute_node.id

-- WRITE_STATE
UPDATE compute_node SET is_active=:active_, state=:state_ WHERE compute_node.id = :node_

-- WRITE_DRAINING
UPDATE compute_node SET draining=:draining_ WHERE compute_node.id = :node_

-- TERMINATE_ALL
UPDATE job SET stop=2 WHERE job.node_id = :node_ AND job.status = 4

-- RENEW_LEASES
UPDATE compute_node SET last_beat=:now_ WHERE compute_node.is_active = 1 AND compute_node.beats = 1

-- SILENT
SELECT compute_node.id, compute_node.wf, compute_node.epoch, compute_node.hostname, compute_node.pid,
compute_node.boot_id, compute_node.process_start, compute_node.num_cpus, compute_node.memory_bytes,
compute_node.num_gpus, compute_node.gpu_ids, compute_node.num_nodes, compute_node.type, compute_node.label,
compute_node.scheduler_id, compute_node.output_dir, compute_node.time_limit, compute_node.is_active,
compute_node.start_time, compute_node.last_beat, compute_node.end_time, compute_node.state,
compute_node.on_lost, compute_node.lease_seconds, compute_node.beats, compute_node.draining,
compute_node.scheduler, compute_node.allocation_id, compute_node.restart_count, compute_node.duration_seconds,
compute_node.avg_cpu_percent, compute_node.peak_cpu_percent, compute_node.avg_memory_bytes,
compute_node.peak_memory_bytes, compute_node.sample_count FROM compute_node WHERE compute_node.is_active = 1
AND compute_node.beats = 1 AND compute_node.last_beat <= :before_ ORDER BY compute_node.id

-- HELD_BY_HAND
SELECT DISTINCT job.wf FROM job WHERE job.wf IN (SELECT status_count.wf FROM status_count WHERE
status_count.status = 3 AND status_count.jobs > 0) AND job.status = 3 AND job.node_id IS NULL AND
job.claimed_at <= :before_

-- DUE
SELECT DISTINCT job.wf FROM job WHERE job.not_before <= :now_

-- NEXT_DUE
SELECT min(job.not_before) AS min_1 FROM job WHERE job.not_before IS NOT NULL

-- ANY_OLD_CLAIM
SELECT claim.claim_id FROM claim WHERE claim.created_at < :now_ - coalesce((SELECT
workflow.compute_node_wait_for_healthy_database_minutes FROM workflow WHERE workflow.id = claim.wf), 0) *
60000 LIMIT 1 OFFSET 0

-- FORGET_OLD_CLAIMS
DELETE FROM claim WHERE claim.created_at < :now_ - coalesce((SELECT
workflow.compute_node_wait_for_healthy_database_minutes FROM workflow WHERE workflow.id = claim.wf), 0) *
60000

-- ANY_OLD_KEY
SELECT idempotency_key.created_at FROM idempotency_key WHERE idempotency_key.created_at < :before_ LIMIT 1
OFFSET 0

-- FORGET_OLD_KEYS
DELETE FROM idempotency_key WHERE idempotency_key.created_at < :before_

-- ANY_OLD_TASK
SELECT task.id FROM task WHERE task.finished_at IS NOT NULL AND task.finished_at < :before_ LIMIT 1 OFFSET 0

-- FORGET_OLD_TASKS
DELETE FROM task WHERE task.finished_at IS NOT NULL AND task.finished_at < :before_

-- OLDEST_EVENTS
SELECT event.id, event.timestamp FROM event ORDER BY event.id LIMIT :limit_ OFFSET 0

-- DROP_EVENTS_UPTO
DELETE FROM event WHERE event.id <= :id_

-- OLDEST_AUDIT
SELECT audit.id, audit.timestamp FROM audit ORDER BY audit.id LIMIT :limit_ OFFSET 0

-- DROP_AUDIT_UPTO
DELETE FROM audit WHERE audit.id <= :id_

-- JOB_EVENT_BEYOND
SELECT event.id FROM event WHERE event.wf = :wf_ AND event.category >= 'job_' AND event.category < 'job`'
ORDER BY event.id DESC LIMIT 1 OFFSET :keep_

-- DROP_JOB_EVENTS
DELETE FROM event WHERE event.id IN (SELECT event.id FROM event WHERE event.wf = :wf_ AND event.id <= :id_ AND
event.category >= 'job_' AND event.category < 'job`' LIMIT :limit_ OFFSET 0)

-- ALLOCATION
SELECT scheduled_compute_node.id, scheduled_compute_node.wf, scheduled_compute_node.scheduler_config_id,
scheduled_compute_node.scheduler_type, scheduled_compute_node.scheduler_id, scheduled_compute_node.status,
scheduled_compute_node.submission_key, scheduled_compute_node.action_run_id, scheduled_compute_node.ordinal,
scheduled_compute_node.nodes, scheduled_compute_node.walltime, scheduled_compute_node.submitted_by,
scheduled_compute_node.submitted_at, scheduled_compute_node.reason, scheduled_compute_node.request_id FROM
scheduled_compute_node WHERE scheduled_compute_node.id = :id_

-- OF_REQUEST
SELECT scheduled_compute_node.id, scheduled_compute_node.wf, scheduled_compute_node.scheduler_config_id,
scheduled_compute_node.scheduler_type, scheduled_compute_node.scheduler_id, scheduled_compute_node.status,
scheduled_compute_node.submission_key, scheduled_compute_node.action_run_id, scheduled_compute_node.ordinal,
scheduled_compute_node.nodes, scheduled_compute_node.walltime, scheduled_compute_node.submitted_by,
scheduled_compute_node.submitted_at, scheduled_compute_node.reason, scheduled_compute_node.request_id FROM
scheduled_compute_node WHERE scheduled_compute_node.wf = :wf_ AND scheduled_compute_node.request_id =
:request_ ORDER BY scheduled_compute_node.id

-- OPEN_INTENTS
SELECT scheduled_compute_node.id, scheduled_compute_node.wf, scheduled_compute_node.scheduler_config_id,
scheduled_compute_node.scheduler_type, scheduled_compute_node.scheduler_id, scheduled_compute_node.status,
scheduled_compute_node.submission_key, scheduled_compute_node.action_run_id, scheduled_compute_node.ordinal,
scheduled_compute_node.nodes, scheduled_compute_node.walltime, scheduled_compute_node.submitted_by,
scheduled_compute_node.submitted_at, scheduled_compute_node.reason, scheduled_compute_node.request_id FROM
scheduled_compute_node WHERE scheduled_compute_node.wf = :wf_ AND scheduled_compute_node.status = 'intended'
AND NOT (EXISTS (SELECT * FROM action_run WHERE action_run.id = scheduled_compute_node.action_run_id AND
action_run.run_id = :run_ AND action_run.state IN ('triggered', 'claimed'))) ORDER BY
scheduled_compute_node.id

-- OF_KEY
SELECT scheduled_compute_node.id, scheduled_compute_node.wf, scheduled_compute_node.scheduler_config_id,
scheduled_compute_node.scheduler_type, scheduled_compute_node.scheduler_id, scheduled_compute_node.status,
scheduled_compute_node.submission_key, scheduled_compute_node.action_run_id, scheduled_compute_node.ordinal,
scheduled_compute_node.nodes, scheduled_compute_node.walltime, scheduled_compute_node.submitted_by,
scheduled_compute_node.submitted_at, scheduled_compute_node.reason, scheduled_compute_node.request_id FROM
scheduled_compute_node WHERE scheduled_compute_node.wf = :wf_ AND scheduled_compute_node.submission_key =
:key_ ORDER BY scheduled_compute_node.id

-- OF_NUMBER
SELECT scheduled_compute_node.id, scheduled_compute_node.wf, scheduled_compute_node.scheduler_config_id,
scheduled_compute_node.scheduler_type, scheduled_compute_node.scheduler_id, scheduled_compute_node.status,
scheduled_compute_node.submission_key, scheduled_compute_node.action_run_id, scheduled_compute_node.ordinal,
scheduled_compute_node.nodes, scheduled_compute_node.walltime, scheduled_compute_node.submitted_by,
scheduled_compute_node.submitted_at, scheduled_compute_node.reason, scheduled_compute_node.request_id FROM
scheduled_compute_node WHERE scheduled_compute_node.wf = :wf_ AND scheduled_compute_node.scheduler_id =
:number_ ORDER BY scheduled_compute_node.id

-- OPEN_NODES_OF
SELECT compute_node.id, compute_node.wf, compute_node.epoch, compute_node.hostname, compute_node.pid,
compute_node.boot_id, compute_node.process_start, compute_node.num_cpus, compute_node.memory_bytes,
compute_node.num_gpus, compute_node.gpu_ids, compute_node.num_nodes, compute_node.type, compute_node.label,
compute_node.scheduler_id, compute_node.output_dir, compute_node.time_limit, compute_node.is_active,
compute_node.start_time, compute_node.last_beat, compute_node.end_time, compute_node.state,
compute_node.on_lost, compute_node.lease_seconds, compute_node.beats, compute_node.draining,
compute_node.scheduler, compute_node.allocation_id, compute_node.restart_count, compute_node.duration_seconds,
compute_node.avg_cpu_percent, compute_node.peak_cpu_percent, compute_node.avg_memory_bytes,
compute_node.peak_memory_bytes, compute_node.sample_count FROM compute_node WHERE compute_node.allocation_id =
:id_ AND compute_node.state != 'ended' ORDER BY compute_node.id

-- COMPLETE_ALLOCATION
UPDATE scheduled_compute_node SET status='complete' WHERE scheduled_compute_node.id = :id_ AND
scheduled_compute_node.status = 'active' AND NOT (EXISTS (SELECT * FROM compute_node WHERE
compute_node.allocation_id = scheduled_compute_node.id AND compute_node.state != 'ended'))

-- SCHEDULERS_OF
SELECT slurm_scheduler.id, slurm_scheduler.wf, slurm_scheduler.name, slurm_scheduler.fields FROM
slurm_scheduler WHERE slurm_scheduler.wf = :wf_ ORDER BY slurm_scheduler.id

-- BIND
UPDATE job SET scheduler_id=:scheduler_ WHERE job.id = :job_

-- SCHEDULER
SELECT slurm_scheduler.id, slurm_scheduler.wf, slurm_scheduler.name, slurm_scheduler.fields FROM
slurm_scheduler WHERE slurm_scheduler.id = :id_ AND slurm_scheduler.wf = :wf_

-- WRITE_ALLOCATION
UPDATE scheduled_compute_node SET scheduler_id=:number_, status=:status_, walltime=:walltime_,
submitted_by=:by_, submitted_at=:at_, reason=:reason_ WHERE scheduled_compute_node.id = :id_

-- NEWEST_ALLOCATION
SELECT max(scheduled_compute_node.id) AS max_1 FROM scheduled_compute_node WHERE scheduled_compute_node.wf =
:wf_

-- ALLOCATION_COUNTS
SELECT scheduled_compute_node.status, count(*) AS count_1 FROM scheduled_compute_node WHERE
scheduled_compute_node.wf = :wf_ GROUP BY scheduled_compute_node.status

-- NODE_OF_PROCESS
SELECT compute_node.id, compute_node.wf, compute_node.epoch, compute_node.hostname, compute_node.pid,
compute_node.boot_id, compute_node.process_start, compute_node.num_cpus, compute_node.memory_bytes,
compute_node.num_gpus, compute_node.gpu_ids, compute_node.num_nodes, compute_node.type, compute_node.label,
compute_node.scheduler_id, compute_node.output_dir, compute_node.time_limit, compute_node.is_active,
compute_node.start_time, compute_node.last_beat, compute_node.end_time, compute_node.state,
compute_node.on_lost, compute_node.lease_seconds, compute_node.beats, compute_node.draining,
compute_node.scheduler, compute_node.allocation_id, compute_node.restart_count, compute_node.duration_seconds,
compute_node.avg_cpu_percent, compute_node.peak_cpu_percent, compute_node.avg_memory_bytes,
compute_node.peak_memory_bytes, compute_node.sample_count FROM compute_node WHERE compute_node.wf = :wf_ AND
compute_node.hostname = :hostname_ AND compute_node.pid = :pid_ AND compute_node.start_time = :start_ AND
compute_node.beats = 0 ORDER BY compute_node.id

-- WORKERS
SELECT remote_worker.id, remote_worker.wf, remote_worker.worker, remote_worker.label, remote_worker.options
FROM remote_worker WHERE remote_worker.wf = :wf_ ORDER BY remote_worker.id

-- STATS_OF
SELECT slurm_stats.id FROM slurm_stats WHERE slurm_stats.job_id = :job_ AND slurm_stats.run_id = :run_ AND
slurm_stats.attempt_id = :attempt_

-- REPLACE_STATS
DELETE FROM slurm_stats WHERE slurm_stats.id = :id_

-- FORGET_ALLOCATION
UPDATE compute_node SET allocation_id=NULL WHERE compute_node.allocation_id = :id_

-- RUNNING_JOBS
SELECT job.id, job.name, job.start_time, compute_node.hostname, compute_node.type, compute_node.scheduler,
scheduled_compute_node.scheduler_id FROM job LEFT OUTER JOIN compute_node ON compute_node.id = job.node_id
LEFT OUTER JOIN scheduled_compute_node ON scheduled_compute_node.id = compute_node.allocation_id WHERE job.wf
= :wf_ AND job.status = 4 ORDER BY job.id

-- NODE_NUMBERS
SELECT compute_node.id, compute_node.scheduler, scheduled_compute_node.scheduler_id FROM compute_node LEFT
OUTER JOIN scheduled_compute_node ON scheduled_compute_node.id = compute_node.allocation_id WHERE
compute_node.wf = :wf_ AND (compute_node.scheduler IS NOT NULL OR compute_node.allocation_id IS NOT NULL)

-- NODES_OF_RESULTS
SELECT DISTINCT result.job_id, result.node_id, job.name FROM result JOIN job ON job.id = result.job_id WHERE
result.wf = :wf_

-- NODES_OF_JOBS
SELECT job.id, job.node_id, job.name FROM job WHERE job.wf = :wf_ AND job.status = 4

-- HIT_READY
UPDATE action_job SET hit_run=CASE WHEN (action_job.hit_run IS NULL) THEN :run_ ELSE 0 END WHERE
action_job.job_id IN (SELECT anon_1.value FROM json_each(:jobs_) AS anon_1) AND (action_job.hit_run IS NULL OR
action_job.hit_run < 0) AND action_job.action_id IN (SELECT workflow_action.id FROM workflow_action WHERE
workflow_action.wf = :wf_ AND workflow_action.trigger_type = 'on_jobs_ready') RETURNING action_id, hit_run

-- HIT_BOTH
UPDATE action_job SET hit_run=CASE WHEN (action_job.hit_run IS NULL) THEN :run_ ELSE 0 END WHERE
action_job.job_id IN (SELECT anon_1.value FROM json_each(:jobs_) AS anon_1) AND (action_job.hit_run IS NULL OR
action_job.hit_run < 0) RETURNING action_id, hit_run

-- HIT_ENDED
UPDATE action_job SET hit_run=CASE WHEN (action_job.action_id IN (SELECT workflow_action.id FROM
workflow_action WHERE workflow_action.wf = :wf_ AND workflow_action.trigger_type = 'on_jobs_ready')) THEN
-:run_ ELSE :run_ END WHERE action_job.job_id IN (SELECT anon_1.value FROM json_each(:jobs_) AS anon_1) AND
action_job.hit_run IS NULL RETURNING action_id, hit_run

-- STAND
UPDATE action_job SET hit_run=(SELECT CASE WHEN (:trigger_ = 'on_jobs_complete') THEN CASE WHEN (job.status IN
(5, 6, 7, 8, 9)) THEN :run_ END WHEN (job.status IN (2, 3, 4, 10)) THEN :run_ WHEN (job.run_id = :run_ AND
job.status IN (5, 6, 8)) THEN :run_ WHEN (job.status IN (5, 6, 7, 8, 9)) THEN -:run_ END AS anon_1 FROM job
WHERE job.id = action_job.job_id) WHERE action_job.action_id = :action_

-- HITS
SELECT coalesce(sum(CASE WHEN (action_job.hit_run >= 0) THEN 1 ELSE 0 END), 0) AS coalesce_1,
count(action_job.hit_run) AS count_1, count(*) AS count_2 FROM action_job WHERE action_job.action_id =
:action_

-- BUMP
UPDATE workflow_action SET trigger_count=(workflow_action.trigger_count + CASE WHEN
(workflow_action.trigger_mode = 'any') THEN :ready_ ELSE :all_ END) WHERE workflow_action.id = :action_
RETURNING id, wf, trigger_type, trigger_mode, action_type, action_config, persistent, is_recovery,
required_triggers, trigger_count

-- ANY_READY
SELECT action_job.job_id FROM action_job WHERE action_job.action_id = :action_ AND action_job.hit_run >= 0
LIMIT 1 OFFSET 0

-- ACTION
SELECT workflow_action.id, workflow_action.wf, workflow_action.trigger_type, workflow_action.trigger_mode,
workflow_action.action_type, workflow_action.action_config, workflow_action.persistent,
workflow_action.is_recovery, workflow_action.required_triggers, workflow_action.trigger_count FROM
workflow_action WHERE workflow_action.id = :action_

-- ACTIONS
SELECT workflow_action.id, workflow_action.wf, workflow_action.trigger_type, workflow_action.trigger_mode,
workflow_action.action_type, workflow_action.action_config, workflow_action.persistent,
workflow_action.is_recovery, workflow_action.required_triggers, workflow_action.trigger_count FROM
workflow_action WHERE workflow_action.wf = :wf_ ORDER BY workflow_action.id

-- ON_COMPLETE
SELECT workflow_action.id, workflow_action.wf, workflow_action.trigger_type, workflow_action.trigger_mode,
workflow_action.action_type, workflow_action.action_config, workflow_action.persistent,
workflow_action.is_recovery, workflow_action.required_triggers, workflow_action.trigger_count FROM
workflow_action WHERE workflow_action.wf = :wf_ AND workflow_action.trigger_type = 'on_workflow_complete'
ORDER BY workflow_action.id

-- WATCHED_BY
SELECT action_job.action_id FROM action_job WHERE action_job.job_id = :job_ ORDER BY action_job.action_id

-- WATCHES
SELECT DISTINCT action_job.action_id FROM action_job WHERE action_job.wf = :wf_ ORDER BY action_job.action_id

-- COUNT_ACTION
UPDATE workflow_action SET required_triggers=:required_, trigger_count=:count_ WHERE workflow_action.id =
:action_

-- WATCHES_JOBS
UPDATE workflow SET has_job_triggers=1 WHERE workflow.id = :wf_

-- FIRING
SELECT action_run.id, action_run.wf, action_run.action_id, action_run.run_id, action_run.node_id,
action_run.state, action_run.claim_id, action_run.claimed_by, action_run.claimed_at, action_run.progress,
action_run.error FROM action_run WHERE action_run.action_id = :action_ AND action_run.run_id = :run_ AND
action_run.node_id = :node_

-- LAST_FIRING
SELECT action_run.id, action_run.wf, action_run.action_id, action_run.run_id, action_run.node_id,
action_run.state, action_run.claim_id, action_run.claimed_by, action_run.claimed_at, action_run.progress,
action_run.error FROM action_run WHERE action_run.action_id = :action_ AND action_run.run_id = :run_ AND
action_run.state != 'triggered' ORDER BY action_run.id DESC LIMIT 1 OFFSET 0

-- FIRINGS
SELECT action_run.id, action_run.wf, action_run.action_id, action_run.run_id, action_run.node_id,
action_run.state, action_run.claim_id, action_run.claimed_by, action_run.claimed_at, action_run.progress,
action_run.error FROM action_run WHERE action_run.action_id = :action_ AND action_run.run_id = :run_ ORDER BY
action_run.id DESC

-- FIRING_OF_CLAIM
SELECT action_run.id, action_run.wf, action_run.action_id, action_run.run_id, action_run.node_id,
action_run.state, action_run.claim_id, action_run.claimed_by, action_run.claimed_at, action_run.progress,
action_run.error FROM action_run WHERE action_run.action_id = :action_ AND action_run.claim_id = :claim_

-- WRITE_FIRING
UPDATE action_run SET state=:state_, claim_id=:claim_, claimed_by=:by_, claimed_at=:at_, progress=:progress_,
error=:error_ WHERE action_run.id = :id_ AND action_run.state = :was_

-- CARRY_FIRINGS
UPDATE action_run SET run_id=:run_ WHERE action_run.action_id = :action_ AND action_run.run_id = :before_

-- TRIGGERED
SELECT DISTINCT action_run.action_id FROM action_run WHERE action_run.wf = :wf_ AND action_run.state =
'triggered' AND action_run.run_id = :run_ ORDER BY action_run.action_id

-- RUN_OUT
SELECT action_run.id, action_run.wf, action_run.action_id, action_run.run_id, action_run.node_id,
action_run.state, action_run.claim_id, action_run.claimed_by, action_run.claimed_at, action_run.progress,
action_run.error, workflow_action.action_type FROM action_run JOIN workflow_action ON workflow_action.id =
action_run.action_id LEFT OUTER JOIN compute_node ON compute_node.id = action_run.claimed_by WHERE
action_run.wf = :wf_ AND action_run.state = 'claimed' AND (compute_node.is_active = 0 OR action_run.claimed_by
IS NOT NULL AND compute_node.id IS NULL OR action_run.claimed_by IS NULL AND action_run.claimed_at <=
:before_) ORDER BY action_run.id

-- WITH_RUN_OUT
SELECT DISTINCT action_run.wf FROM action_run LEFT OUTER JOIN compute_node ON compute_node.id =
action_run.claimed_by WHERE action_run.state = 'claimed' AND (compute_node.is_active = 0 OR
action_run.claimed_by IS NOT NULL AND compute_node.id IS NULL OR action_run.claimed_by IS NULL AND
action_run.claimed_at <= :before_)

-- UNLINK_INTENTS
UPDATE scheduled_compute_node SET action_run_id=NULL WHERE scheduled_compute_node.action_run_id IN (SELECT
action_run.id FROM action_run WHERE action_run.action_id = :action_)

-- DROP_FIRINGS
DELETE FROM action_run WHERE action_run.action_id = :action_

-- DROP_ACTION_JOBS
DELETE FROM action_job WHERE action_job.action_id = :action_

-- DROP_ACTION
DELETE FROM workflow_action WHERE workflow_action.id = :action_

-- INTENTS
SELECT scheduled_compute_node.id, scheduled_compute_node.wf, scheduled_compute_node.scheduler_config_id,
scheduled_compute_node.scheduler_type, scheduled_compute_node.scheduler_id, scheduled_compute_node.status,
scheduled_compute_node.submission_key, scheduled_compute_node.action_run_id, scheduled_compute_node.ordinal,
scheduled_compute_node.nodes, scheduled_compute_node.walltime, scheduled_compute_node.submitted_by,
scheduled_compute_node.submitted_at, scheduled_compute_node.reason, scheduled_compute_node.request_id FROM
scheduled_compute_node WHERE scheduled_compute_node.action_run_id = :run_ ORDER BY
scheduled_compute_node.ordinal

-- SCHEDULER_FIELDS
SELECT slurm_scheduler.id, slurm_scheduler.fields FROM slurm_scheduler WHERE slurm_scheduler.wf = :wf_ AND
(slurm_scheduler.id = :id_ OR :id_ IS NULL AND slurm_scheduler.name = :name_) ORDER BY slurm_scheduler.id

-- SCHEDULERS
SELECT slurm_scheduler.id FROM slurm_scheduler WHERE slurm_scheduler.wf = :wf_

-- RULES_OF
SELECT failure_handler.rules FROM failure_handler WHERE failure_handler.id = :handler_

-- TRY_AGAIN
UPDATE job SET status=:status_, attempt_id=:attempt_, node_id=NULL, lease=NULL, prefetched=0, forked=0,
missed=0, recalled=0, claimed_at=NULL, start_time=NULL, ready_since=:now_, stop=0, reason=NULL,
result_id=NULL, not_before=:later_, losses=(job.losses + :lost_), origin=coalesce(job.origin, 'retry') WHERE
job.id = :job_ AND job.status = :was_

-- RECOVER
UPDATE job SET forked=1, reason=:reason_, result_id=:result_ WHERE job.id = :job_

-- FREE_RETRIES
UPDATE job SET not_before=NULL WHERE job.wf = :wf_ AND job.not_before IS NOT NULL AND job.not_before <= :now_
RETURNING status, node_id, class_id

-- NEXT_RETRY
SELECT min(job.not_before) AS min_1 FROM job WHERE job.wf = :wf_ AND job.not_before IS NOT NULL

-- JOBS_NAMED
SELECT job.id, job.wf, job.name, job.command, job.invocation_script, job.env, job.status, job.priority,
job.cancel_on_blocking_job_failure, job.supports_termination, job.requirement_id, job.scheduler_id,
job.failure_handler_id, job.label, job.unmet, job.num_blockers, job.run_id, job.attempt_id, job.node_id,
job.lease, job.prefetched, job.claimed_at, job.start_time, job.ready_since, job.stop, job.reason,
job.result_id, job.not_before, job.losses, job.input_hash, job.origin, job.lineage, job.spawned_by,
job.schedule_compute_nodes FROM job WHERE job.wf = :wf_ AND job.name IN (SELECT anon_1.value FROM
json_each(:names_) AS anon_1) ORDER BY job.id DESC

-- REQUIREMENTS_NAMED
SELECT resource_requirements.name, resource_requirements.id FROM resource_requirements WHERE
resource_requirements.wf = :wf_ AND resource_requirements.name IN (SELECT anon_1.value FROM json_each(:names_)
AS anon_1) ORDER BY resource_requirements.id DESC

-- JOB_NAMES
SELECT job.name FROM job WHERE job.wf = :wf_ LIMIT :limit_ OFFSET 0

-- REQUIREMENT_NAMES
SELECT resource_requirements.name FROM resource_requirements WHERE resource_requirements.wf = :wf_

-- LINEAGE_NAMES
SELECT user_data.name FROM user_data WHERE user_data.wf = :wf_ AND user_data.name >= :first_ AND
user_data.name < :after_

-- SET_RECORD
UPDATE user_data SET data=:data_, initial_data=:data_ WHERE user_data.wf = :wf_ AND user_data.name = :name_

-- BAD_BLOCKER
SELECT min(job.id) AS min_1 FROM job JOIN dep_member ON dep_member.job_id = job.id JOIN dep_use ON
dep_use.set_id = dep_member.set_id WHERE dep_use.job_id = :job_ AND job.status IN (6, 7, 8)

-- DYNAMIC_JOBS
SELECT workflow.dynamic_jobs, workflow.env FROM workflow WHERE workflow.id = :wf_

-- ACTIVE_OPERATION
SELECT task.id, task.wf, task.name, task.options, task.status, task.created_at, task.started_at,
task.finished_at, task.error FROM task WHERE task.wf = :wf_ AND task.status IN ('queued', 'running') ORDER BY
task.id LIMIT 1 OFFSET 0

-- OPERATION
SELECT task.id, task.wf, task.name, task.options, task.status, task.created_at, task.started_at,
task.finished_at, task.error FROM task WHERE task.id = :id_

-- OPERATION_BEGINS
UPDATE task SET status='running', started_at=coalesce(task.started_at, :now_) WHERE task.id = :id_

-- OPERATION_ENDS
UPDATE task SET status=:status_, finished_at=:now_, error=:error_ WHERE task.id = :id_

-- LINKS_OF_USER
SELECT access_group.name, access_group.is_system, workflow_access_group.level FROM user_group_membership JOIN
access_group ON access_group.id = user_group_membership.group_id LEFT OUTER JOIN workflow_access_group ON
workflow_access_group.group_id = access_group.id AND workflow_access_group.wf = :wf_ WHERE
user_group_membership.user_name = :user_ ORDER BY access_group.id

-- IS_ADMIN
SELECT user_group_membership.id FROM user_group_membership JOIN access_group ON access_group.id =
user_group_membership.group_id WHERE user_group_membership.user_name = :user_ AND access_group.is_system = 1

-- READABLE
SELECT workflow.id FROM workflow WHERE workflow.deleting = 0 AND (workflow.user = :user_ OR workflow.id IN
(SELECT workflow_access_group.wf FROM workflow_access_group JOIN user_group_membership ON
user_group_membership.group_id = workflow_access_group.group_id WHERE user_group_membership.user_name =
:user_)) ORDER BY workflow.id

-- SYSTEM_GROUP
SELECT access_group.id FROM access_group WHERE access_group.is_system = 1

-- MEMBERS_OF_GROUP
SELECT user_group_membership.id, user_group_membership.user_name FROM user_group_membership WHERE
user_group_membership.group_id = :group_

-- DROP_MEMBER
DELETE FROM user_group_membership WHERE user_group_membership.id = :id_

-- KEPT
SELECT idempotency_key.principal, idempotency_key.route, idempotency_key."key", idempotency_key.body_hash,
idempotency_key.status, idempotency_key.answer FROM idempotency_key WHERE idempotency_key.principal =
:principal_ AND idempotency_key.route = :route_ AND idempotency_key."key" = :key_ AND
idempotency_key.created_at > :since_

-- DROP_KEPT
DELETE FROM idempotency_key WHERE idempotency_key.created_at <= :since_ OR idempotency_key.principal =
:principal_ AND idempotency_key.route = :route_ AND idempotency_key."key" = :key_

-- WITH_OPEN_JOBS
SELECT workflow.id FROM workflow WHERE workflow.deleting = 0 AND (EXISTS (SELECT * FROM job WHERE job.wf =
workflow.id AND job.status IN (0, 1, 2, 3, 4, 10))) ORDER BY workflow.id

-- REAL_COUNTS
SELECT job.status, count(*) AS count_1 FROM job WHERE job.wf = :wf_ GROUP BY job.status

-- ALL_COUNTS
SELECT status_count.status, status_count.jobs FROM status_count WHERE status_count.wf = :wf_

-- WRONG_SETS
SELECT dep_set.id, coalesce(sum(CASE WHEN (job.status IN (0, 1, 2, 3, 4, 10)) THEN 1 ELSE 0 END), 0) AS
coalesce_1, coalesce(sum(CASE WHEN (job.status IN (6, 7, 8)) THEN 1 ELSE 0 END), 0) AS coalesce_2 FROM dep_set
LEFT OUTER JOIN dep_member ON dep_member.set_id = dep_set.id LEFT OUTER JOIN job ON job.id = dep_member.job_id
WHERE dep_set.wf = :wf_ GROUP BY dep_set.id, dep_set.remaining, dep_set.bad HAVING dep_set.remaining !=
coalesce(sum(CASE WHEN (job.status IN (0, 1, 2, 3, 4, 10)) THEN 1 ELSE 0 END), 0) OR dep_set.bad !=
coalesce(sum(CASE WHEN (job.status IN (6, 7, 8)) THEN 1 ELSE 0 END), 0)

-- WRONG_UNMET
SELECT job.id, coalesce(counted.unmet, 0) AS coalesce_1 FROM job LEFT OUTER JOIN (SELECT dep_use.job_id AS
job_id, count(*) AS unmet FROM dep_use JOIN dep_set ON dep_set.id = dep_use.set_id AND dep_set.remaining > 0
WHERE dep_use.wf = :wf_ GROUP BY dep_use.job_id) AS counted ON counted.job_id = job.id WHERE job.wf = :wf_ AND
job.unmet != coalesce(counted.unmet, 0)

-- WRONG_CLASSES
SELECT job_class.id, coalesce(ready.ready, 0) AS coalesce_1 FROM job_class LEFT OUTER JOIN (SELECT
job.class_id AS class_id, count(*) AS ready FROM job WHERE job.wf = :wf_ AND job.status = 2 AND job.node_id IS
NULL AND job.not_before IS NULL GROUP BY job.class_id) AS ready ON ready.class_id = job_class.id WHERE
job_class.wf = :wf_ AND job_class.num_ready != coalesce(ready.ready, 0)

-- WRITE_READY
UPDATE job_class SET num_ready=:ready_ WHERE job_class.id = :class_

-- STUCK
SELECT job.id, job.class_id FROM job WHERE job.wf = :wf_ AND job.status = 1 AND job.unmet = 0 AND
(job.cancel_on_blocking_job_failure = 0 OR NOT (EXISTS (SELECT * FROM dep_use, dep_set WHERE dep_use.job_id =
job.id AND dep_set.id = dep_use.set_id AND dep_set.bad > 0)))

-- FIRST_USER_DATA
SELECT user_data.id, user_data.wf, user_data.name, user_data.initial_data, user_data.is_ephemeral FROM
user_data WHERE user_data.wf = :wf_

-- ALL_SOURCES
SELECT dep_use.job_id, dep_use.set_id, dep_use.sources FROM dep_use WHERE dep_use.wf = :wf_ ORDER BY
dep_use.job_id, dep_use.set_id

-- ALL_INPUTS
SELECT input_set.id, input_set.kind, input_member.item_id FROM input_set JOIN input_member ON
input_member.set_id = input_set.id WHERE input_set.wf = :wf_ ORDER BY input_set.id, input_member.item_id

-- ALL_READERS
SELECT input_use.job_id, input_use.set_id FROM input_use WHERE input_use.wf = :wf_ ORDER BY input_use.job_id,
input_use.set_id

-- IMPORT_FILE
UPDATE file SET st_mtime=:mtime_, size=:size_, content_hash=:hash_ WHERE file.id = :file_

-- IMPORT_USER_DATA
UPDATE user_data SET data=:data_ WHERE user_data.id = :datum_

-- IMPORT_ACTION
UPDATE workflow_action SET is_recovery=:recovery_, trigger_count=:count_ WHERE workflow_action.id = :action_

-- IMPORT_JOB
UPDATE job SET status=:status_, run_id=:run_, attempt_id=:attempt_, reason=:reason_, result_id=:result_,
losses=:losses_, input_hash=:hash_, origin=:origin_, lineage=:lineage_, spawned_by=:caller_,
schedule_compute_nodes=:schedule_ WHERE job.id = :job_
