-- The statements the first release made its tables with, and rows as it wrote them.

CREATE TABLE IF NOT EXISTS TASKS (
    TASK_ID INTEGER PRIMARY KEY AUTOINCREMENT,
    AGENT_ID INT,
    NODE TEXT,
    MODULE TEXT,
    COMMAND TEXT,
    CREATE_TIME INTEGER,
    LAST_UPDATE_TIME INTEGER,
    STATUS TEXT,
    ERROR_MESSAGE TEXT
);
CREATE TABLE IF NOT EXISTS METADATA (key TEXT PRIMARY KEY, value TEXT);
INSERT OR IGNORE INTO METADATA (key, value) VALUES ('db_version', '1');

CREATE TABLE IF NOT EXISTS WPKD_METADATA (key TEXT PRIMARY KEY, value TEXT);
INSERT OR IGNORE INTO WPKD_METADATA (key, value) VALUES ('layout', '1');
CREATE TABLE IF NOT EXISTS WPKD_ORDERS (
    TASK_ID INTEGER PRIMARY KEY,
    TASK_ORDER TEXT,
    INSTALLER_BEGUN INTEGER
);
CREATE TABLE IF NOT EXISTS WPKD_LIVE (
    AGENT_ID INTEGER PRIMARY KEY,
    TASK_ID INTEGER NOT NULL UNIQUE
);
CREATE INDEX IF NOT EXISTS WPKD_TASKS_AGENT ON TASKS (AGENT_ID);
CREATE INDEX IF NOT EXISTS WPKD_TASKS_LIVE ON TASKS (AGENT_ID)
    WHERE STATUS IN ('Pending', 'In progress');
CREATE INDEX IF NOT EXISTS WPKD_TASKS_WORK ON TASKS (STATUS, NODE)
    WHERE STATUS IN ('Pending', 'In progress');

INSERT INTO TASKS VALUES
    (1, 1, 'node01', 'upgrade_module', 'upgrade', 1700000000, 1700000100, 'Done', NULL),
    (2, 2, 'node01', 'upgrade_module', 'upgrade', 1700000000, 1700000100, 'Timeout', NULL),
    (3, 3, 'node01', 'upgrade_module', 'upgrade', 1700000000, NULL, 'Pending', NULL),
    (4, 4, 'node01', 'upgrade_module', 'upgrade', 1700000000, 1700000100, 'In progress', NULL),
    (5, 5, 'node01', 'upgrade_module', 'upgrade', 1700000000, 1700000100, 'In progress', NULL),
    (6, 6, 'node01', 'upgrade_module', 'upgrade_custom', 1700000000, 1700000100, 'In progress', NULL);
INSERT INTO WPKD_ORDERS VALUES (3, '{"agent": {"id": 3, "name": "a3", "os_platform": "ubuntu", "os_major": "22", "os_minor": "04", "os_arch": "x86_64", "version": "Wazuh v4.7.0", "connection": "active"}, "wanted": {"release": {"platform": {"os_platform": "ubuntu", "os_major": "22", "os_minor": "04", "os_arch": "x86_64"}, "target": {"exactly": "v4.14.9"}, "use_http": false}}, "force": false}', NULL);
INSERT INTO WPKD_LIVE VALUES (3, 3);
INSERT INTO WPKD_ORDERS VALUES (4, '{"agent": {"id": 4, "name": "a4", "os_platform": "ubuntu", "os_major": "22", "os_minor": "04", "os_arch": "x86_64", "version": "Wazuh v4.7.0", "connection": "active"}, "wanted": {"release": {"platform": {"os_platform": "ubuntu", "os_major": "22", "os_minor": "04", "os_arch": "x86_64"}, "target": {"exactly": "v4.14.9"}, "use_http": false}}, "force": false}', NULL);
INSERT INTO WPKD_LIVE VALUES (4, 4);
INSERT INTO WPKD_ORDERS VALUES (5, '{"agent": {"id": 5, "name": "a5", "os_platform": "ubuntu", "os_major": "22", "os_minor": "04", "os_arch": "x86_64", "version": "Wazuh v4.7.0", "connection": "active"}, "wanted": {"release": {"platform": {"os_platform": "ubuntu", "os_major": "22", "os_minor": "04", "os_arch": "x86_64"}, "target": {"exactly": "v4.14.9"}, "use_http": false}}, "force": false}', 1700000100);
INSERT INTO WPKD_LIVE VALUES (5, 5);
