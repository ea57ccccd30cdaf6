CREATE INDEX job_wf ON job (wf);
