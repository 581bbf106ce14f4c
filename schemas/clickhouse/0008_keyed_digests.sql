ALTER TABLE dead_letters
    MODIFY COLUMN digest FixedString(16) COMMENT 'Keyed digest of the item under the pepper of the ingesters: equal items are equal here. All zeros where the stage that gave up has no secret'

-- next statement --

ALTER TABLE dead_letters UPDATE digest = toFixedString('', 16) WHERE digest != toFixedString('', 16) SETTINGS mutations_sync = 1
