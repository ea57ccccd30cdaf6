-- INSERT_COUNTER
INSERT INTO counter (kind, value) VALUES (?, ?)

-- INSERT_EVENT
INSERT INTO event (id, wf, timestamp, category, severity, data) VALUES (?, ?, ?, ?, ?, ?)

-- INSERT_META
INSERT INTO meta (name, value) VALUES (?, ?)

-- INSERT_SERVER_LEASE
INSERT INTO server_lease (id, epoch, host, boot_id, pid, process_start, beat) VALUES (?, ?, ?, ?, ?, ?, ?)

-- INSERT_WORKFLOW
INSERT INTO workflow (id, name, user, description, project, metadata, created_at, run_id, initialized_run,
is_canceled, is_archived, deleting, derived, env, execution_config, resource_monitor_config, slurm_defaults,
dynamic_jobs, notify, report, api_access, use_pending_failed, enable_ro_crate, retry_on_node_loss,
compute_node_wait_for_new_jobs_seconds, compute_node_ignore_workflow_completion,
compute_node_wait_for_healthy_database_minutes, compute_node_min_time_for_new_jobs_seconds,
compute_node_expiration_buffer_seconds, submission_directory, source_path, source_digest, uses_gpus) VALUES
(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- INSERT_DEP_SET
INSERT INTO dep_set (id, wf, digest, size, remaining, bad) VALUES (?, ?, ?, ?, ?, ?)

-- INSERT_FAILURE_HANDLER
INSERT INTO failure_handler (id, wf, name, rules) VALUES (?, ?, ?, ?)

-- INSERT_FILE
INSERT INTO file (id, wf, name, path, identifier, st_mtime, size) VALUES (?, ?, ?, ?, ?, ?, ?)

-- INSERT_RESOURCE_REQUIREMENTS
INSERT INTO resource_requirements (id, wf, name, num_cpus, num_gpus, num_nodes, memory, runtime, memory_bytes,
runtime_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- INSERT_SLURM_SCHEDULER
INSERT INTO slurm_scheduler (id, wf, name, fields) VALUES (?, ?, ?, ?)

-- INSERT_STATUS_COUNT
INSERT INTO status_count (wf, status, jobs) VALUES (?, ?, ?)

-- INSERT_USER_DATA
INSERT INTO user_data (id, wf, name, data, initial_data, is_ephemeral) VALUES (?, ?, ?, ?, ?, ?)

-- INSERT_WORKFLOW_ACTION
INSERT INTO workflow_action (id, wf, trigger_type, trigger_mode, action_type, action_config, persistent)
VALUES (?, ?, ?, ?, ?, ?, ?)

-- INSERT_COMPUTE_NODE
INSERT INTO compute_node (id, wf, epoch, hostname, pid, boot_id, process_start, num_cpus, memory_bytes,
num_gpus, gpu_ids, num_nodes, type, label, scheduler_id, output_dir, time_limit, is_active, start_time,
last_beat, end_time, avg_cpu_percent, peak_cpu_percent, avg_memory_bytes, peak_memory_bytes) VALUES (?, ?, ?,
?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- INSERT_INPUT_SET
INSERT INTO input_set (id, wf, kind, digest, size, dep_set_id) VALUES (?, ?, ?, ?, ?, ?)

-- INSERT_JOB_CLASS
INSERT INTO job_class (id, wf, num_cpus, memory_bytes, num_gpus, num_nodes, runtime_s, scheduler_id, label,
num_ready) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- INSERT_CLAIM
INSERT INTO claim (claim_id, wf, node_id, created_at) VALUES (?, ?, ?, ?)

-- INSERT_INPUT_MEMBER
INSERT INTO input_member (set_id, item_id, wf) VALUES (?, ?, ?)

-- INSERT_JOB
INSERT INTO job (id, wf, name, command, invocation_script, env, status, priority,
cancel_on_blocking_job_failure, supports_termination, requirement_id, class_id, scheduler_id,
failure_handler_id, label, unmet, num_blockers, run_id, attempt_id, node_id, lease, prefetched, forked,
missed, claimed_at, start_time, ready_since, stop, reason, result_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- INSERT_ACTION_JOB
INSERT INTO action_job (action_id, job_id, wf) VALUES (?, ?, ?)

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
completed_at, peak_memory_bytes, avg_memory_bytes, peak_cpu_percent, avg_cpu_percent, provisional) VALUES (?,
?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

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

-- PURGE_RESOURCE_REQUIREMENTS
DELETE FROM resource_requirements WHERE resource_requirements.id IN (SELECT resource_requirements.id FROM
resource_requirements WHERE resource_requirements.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_SLURM_SCHEDULER
DELETE FROM slurm_scheduler WHERE slurm_scheduler.id IN (SELECT slurm_scheduler.id FROM slurm_scheduler WHERE
slurm_scheduler.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_STATUS_COUNT
DELETE FROM status_count WHERE (status_count.wf, status_count.status) IN (SELECT status_count.wf,
status_count.status FROM status_count WHERE status_count.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_USER_DATA
DELETE FROM user_data WHERE user_data.id IN (SELECT user_data.id FROM user_data WHERE user_data.wf = :wf_
LIMIT :limit_ OFFSET 0)

-- PURGE_WORKFLOW_ACTION
DELETE FROM workflow_action WHERE workflow_action.id IN (SELECT workflow_action.id FROM workflow_action WHERE
workflow_action.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_COMPUTE_NODE
DELETE FROM compute_node WHERE compute_node.id IN (SELECT compute_node.id FROM compute_node WHERE
compute_node.wf = :wf_ LIMIT :limit_ OFFSET 0)

-- PURGE_INPUT_SET
DELETE FROM input_set WHERE input_set.id IN (SELECT input_set.id FROM input_set WHERE input_set.wf = :wf_
LIMIT :limit_ OFFSET 0)

-- PURGE_JOB_CLASS
DELETE FROM job_class WHERE job_class.id IN (SELECT job_class.id FROM job_class WHERE job_class.wf = :wf_
LIMIT :limit_ OFFSET 0)

-- PURGE_CLAIM
DELETE FROM claim WHERE claim.claim_id IN (SELECT claim.claim_id FROM claim WHERE claim.wf = :wf_ LIMIT
:limit_ OFFSET 0)

-- PURGE_INPUT_MEMBER
DELETE FROM input_member WHERE (input_member.set_id, input_member.item_id) IN (SELECT input_member.set_id,
input_member.item_id FROM input_member WHERE input_member.wf = :wf_ LIMIT :limit_ OFFSET 0)

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
workflow.is_archived, workflow.derived, workflow.compute_node_wait_for_healthy_database_minutes FROM workflow
WHERE workflow.id = :wf_ AND workflow.deleting = 0

-- JOB_STATE
SELECT job.id, job.status, job.run_id, job.attempt_id, job.node_id, job.lease, job.stop, job.reason,
job.claimed_at, job.wf, job.name, job.class_id, job.forked, job.missed, job.prefetched, job.priority,
job.result_id FROM job WHERE job.id = :job_

-- MOVE
UPDATE job SET status=:status_, reason=:reason_, result_id=:result_ WHERE job.id = :job_ AND job.status =
:was_

-- SETTLE
UPDATE job SET node_id=NULL, lease=NULL, prefetched=0, forked=0, missed=0, stop=0 WHERE job.id = :job_

-- END
UPDATE job SET status=:status_, node_id=NULL, lease=NULL, prefetched=0, forked=0, missed=0, stop=0,
reason=:reason_, result_id=:result_ WHERE job.id = :job_ AND job.status = :was_

-- STANDING
SELECT result.status, result.return_code FROM result WHERE result.job_id = :job_ AND result.run_id = :run_ AND
result.attempt_id = :attempt_

-- FINGERPRINT
UPDATE file SET st_mtime=:mtime_, size=:size_ WHERE file.id = :file_ AND file.wf = :wf_

-- MEMBERSHIPS
SELECT dep_member.set_id FROM dep_member WHERE dep_member.job_id = :job_

-- USES
SELECT dep_use.set_id FROM dep_use WHERE dep_use.job_id = :job_

-- USERS
SELECT job.id, job.status, job.unmet, job.cancel_on_blocking_job_failure, job.reason, job.claimed_at,
job.attempt_id, job.class_id, job.name, job.run_id FROM job JOIN dep_use ON dep_use.job_id = job.id WHERE
dep_use.set_id = :set_

-- SET_COUNTS
SELECT dep_set.remaining, dep_set.bad FROM dep_set WHERE dep_set.id = :set_

-- WRITE_SET
UPDATE dep_set SET remaining=:remaining_, bad=:bad_ WHERE dep_set.id = :set_

-- WRITE_UNMET
UPDATE job SET unmet=:unmet_ WHERE job.id = :job_

-- CANCEL_WAITER
UPDATE job SET status=7, unmet=:unmet_, reason=:reason_, result_id=NULL WHERE job.id = :job_

-- FREE_WAITER
UPDATE job SET status=:status_, unmet=:unmet_, ready_since=:since_, reason=NULL WHERE job.id = :job_

-- LESSEN
UPDATE dep_set SET remaining=(dep_set.remaining - 1) WHERE dep_set.id IN (SELECT dep_member.set_id FROM
dep_member WHERE dep_member.job_id = :job_) RETURNING id, remaining

-- RELEASE
UPDATE job SET status=CASE WHEN (job.status = 1 AND job.unmet = 1) THEN 2 ELSE job.status END,
unmet=(job.unmet - 1), ready_since=CASE WHEN (job.status = 1 AND job.unmet = 1) THEN :now_ ELSE
job.ready_since END WHERE job.id IN (SELECT dep_use.job_id FROM dep_use WHERE dep_use.set_id = :set_)
RETURNING class_id, status, unmet

-- READY_CLASSES
SELECT job_class.id, job_class.num_ready FROM job_class WHERE job_class.wf = :wf_ AND job_class.num_ready > 0

-- SHAPE
SELECT job_class.num_cpus, job_class.memory_bytes, job_class.num_gpus, job_class.num_nodes,
job_class.runtime_s, job_class.scheduler_id, job_class.label FROM job_class WHERE job_class.id = :class_

-- HEADS
SELECT job.id, job.priority, job.ready_since FROM job WHERE job.wf = :wf_ AND job.class_id = :class_ AND
job.status = 2 AND job.node_id IS NULL ORDER BY job.priority DESC, job.id LIMIT :limit_ OFFSET 0

-- TAKE
UPDATE job SET status=:status_, node_id=:node_, lease=:lease_, prefetched=:prefetched_, forked=0, missed=0,
claimed_at=:now_, start_time=:start_, reason=NULL WHERE job.id = :job_ AND job.status = 2 AND job.node_id IS
NULL RETURNING id, wf, name, command, invocation_script, env, status, priority,
cancel_on_blocking_job_failure, supports_termination, requirement_id, scheduler_id, failure_handler_id, label,
unmet, num_blockers, run_id, attempt_id, node_id, lease, prefetched, claimed_at, start_time, ready_since,
stop, reason, result_id, class_id

-- LIVE_CLASSES
SELECT job.class_id, job.prefetched, count(*) AS count_1 FROM job WHERE job.node_id = :node_ GROUP BY
job.class_id, job.prefetched

-- OUTPUTS
SELECT file.id, file.name, file.path FROM file JOIN job_output_file ON job_output_file.item_id = file.id WHERE
job_output_file.job_id = :job_ ORDER BY file.id

-- CLAIM
SELECT claim.created_at FROM claim WHERE claim.claim_id = :claim_

-- CLAIMED
SELECT job.id, job.wf, job.name, job.command, job.invocation_script, job.env, job.status, job.priority,
job.cancel_on_blocking_job_failure, job.supports_termination, job.requirement_id, job.scheduler_id,
job.failure_handler_id, job.label, job.unmet, job.num_blockers, job.run_id, job.attempt_id, job.node_id,
job.lease, job.prefetched, job.claimed_at, job.start_time, job.ready_since, job.stop, job.reason,
job.result_id, job.class_id FROM job WHERE job.node_id = :node_ AND job.lease = :lease_ ORDER BY job.id

-- FORGET_CLAIMS
DELETE FROM claim WHERE claim.node_id = :node_ AND claim.created_at < :before_
