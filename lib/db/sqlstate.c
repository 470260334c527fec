/*
 * sqlstate - the server's error codes, as kinds and names
 *
 * The names are PostgreSQL's own condition names (appendix A of its manual) with pg_ before them.
 * A code that is not here takes the row of its class, xx000, or else the general one.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* Sorted by code. */
static const struct sqlstate table[] = {
    { "08000", ERR_TEMPORARY, "pg_connection_exception" },
    { "08001", ERR_TEMPORARY, "pg_sqlclient_unable_to_establish_sqlconnection" },
    { "08003", ERR_TEMPORARY, "pg_connection_does_not_exist" },
    { "08004", ERR_TEMPORARY, "pg_sqlserver_rejected_establishment_of_sqlconnection" },
    { "08006", ERR_TEMPORARY, "pg_connection_failure" },
    { "08007", ERR_UNKNOWN, "pg_transaction_resolution_unknown" },
    { "08P01", ERR_PERMANENT, "pg_protocol_violation" },
    { "0A000", ERR_PERMANENT, "pg_feature_not_supported" },
    { "21000", ERR_PERMANENT, "pg_cardinality_violation" },
    { "22000", ERR_PERMANENT, "pg_data_exception" },
    { "22001", ERR_PERMANENT, "pg_string_data_right_truncation" },
    { "22003", ERR_PERMANENT, "pg_numeric_value_out_of_range" },
    { "22004", ERR_PERMANENT, "pg_null_value_not_allowed" },
    { "22007", ERR_PERMANENT, "pg_invalid_datetime_format" },
    { "22008", ERR_PERMANENT, "pg_datetime_field_overflow" },
    { "22012", ERR_PERMANENT, "pg_division_by_zero" },
    { "22021", ERR_PERMANENT, "pg_character_not_in_repertoire" },
    { "22023", ERR_PERMANENT, "pg_invalid_parameter_value" },
    { "22P02", ERR_PERMANENT, "pg_invalid_text_representation" },
    { "22P03", ERR_PERMANENT, "pg_invalid_binary_representation" },
    { "22P04", ERR_PERMANENT, "pg_bad_copy_file_format" },
    { "22P05", ERR_PERMANENT, "pg_untranslatable_character" },
    { "23000", ERR_PERMANENT, "pg_integrity_constraint_violation" },
    { "23001", ERR_PERMANENT, "pg_restrict_violation" },
    { "23502", ERR_PERMANENT, "pg_not_null_violation" },
    { "23503", ERR_PERMANENT, "pg_foreign_key_violation" },
    { "23505", ERR_PERMANENT, "pg_unique_violation" },
    { "23514", ERR_PERMANENT, "pg_check_violation" },
    { "23P01", ERR_PERMANENT, "pg_exclusion_violation" },
    { "25000", ERR_PERMANENT, "pg_invalid_transaction_state" },
    { "25001", ERR_PERMANENT, "pg_active_sql_transaction" },
    /* A standby that was, or will be, the primary. */
    { "25006", ERR_TEMPORARY, "pg_read_only_sql_transaction" },
    { "25P01", ERR_PERMANENT, "pg_no_active_sql_transaction" },
    { "25P02", ERR_PERMANENT, "pg_in_failed_sql_transaction" },
    { "25P03", ERR_TEMPORARY, "pg_idle_in_transaction_session_timeout" },
    { "26000", ERR_TEMPORARY, "pg_invalid_sql_statement_name" },
    { "28000", ERR_PERMANENT, "pg_invalid_authorization_specification" },
    { "28P01", ERR_PERMANENT, "pg_invalid_password" },
    { "3D000", ERR_PERMANENT, "pg_invalid_catalog_name" },
    { "3F000", ERR_PERMANENT, "pg_invalid_schema_name" },
    { "40000", ERR_TEMPORARY, "pg_transaction_rollback" },
    { "40001", ERR_TEMPORARY, "pg_serialization_failure" },
    { "40002", ERR_PERMANENT, "pg_transaction_integrity_constraint_violation" },
    { "40003", ERR_UNKNOWN, "pg_statement_completion_unknown" },
    { "40P01", ERR_TEMPORARY, "pg_deadlock_detected" },
    { "42000", ERR_PERMANENT, "pg_syntax_error_or_access_rule_violation" },
    { "42501", ERR_PERMANENT, "pg_insufficient_privilege" },
    { "42601", ERR_PERMANENT, "pg_syntax_error" },
    { "42703", ERR_PERMANENT, "pg_undefined_column" },
    { "42704", ERR_PERMANENT, "pg_undefined_object" },
    { "42804", ERR_PERMANENT, "pg_datatype_mismatch" },
    { "42883", ERR_PERMANENT, "pg_undefined_function" },
    { "42P01", ERR_PERMANENT, "pg_undefined_table" },
    { "42P07", ERR_PERMANENT, "pg_duplicate_table" },
    { "42P18", ERR_PERMANENT, "pg_indeterminate_datatype" },
    { "53000", ERR_TEMPORARY, "pg_insufficient_resources" },
    { "53100", ERR_TEMPORARY, "pg_disk_full" },
    { "53200", ERR_TEMPORARY, "pg_out_of_memory" },
    { "53300", ERR_TEMPORARY, "pg_too_many_connections" },
    { "53400", ERR_TEMPORARY, "pg_configuration_limit_exceeded" },
    { "54000", ERR_PERMANENT, "pg_program_limit_exceeded" },
    { "55000", ERR_PERMANENT, "pg_object_not_in_prerequisite_state" },
    { "55006", ERR_TEMPORARY, "pg_object_in_use" },
    { "55P03", ERR_TEMPORARY, "pg_lock_not_available" },
    { "57000", ERR_TEMPORARY, "pg_operator_intervention" },
    { "57014", ERR_TEMPORARY, "pg_query_canceled" },
    { "57P01", ERR_TEMPORARY, "pg_admin_shutdown" },
    { "57P02", ERR_TEMPORARY, "pg_crash_shutdown" },
    { "57P03", ERR_TEMPORARY, "pg_cannot_connect_now" },
    { "57P04", ERR_PERMANENT, "pg_database_dropped" },
    { "57P05", ERR_TEMPORARY, "pg_idle_session_timeout" },
    { "58000", ERR_TEMPORARY, "pg_system_error" },
    { "58030", ERR_TEMPORARY, "pg_io_error" },
    { "58P01", ERR_PERMANENT, "pg_undefined_file" },
    { "P0001", ERR_PERMANENT, "pg_raise_exception" },
    { "P0002", ERR_PERMANENT, "pg_no_data_found" },
    { "P0003", ERR_PERMANENT, "pg_too_many_rows" },
    { "P0004", ERR_PERMANENT, "pg_assert_failure" },
    { "XX000", ERR_PERMANENT, "pg_internal_error" },
    { "XX001", ERR_PERMANENT, "pg_data_corrupted" },
    { "XX002", ERR_PERMANENT, "pg_index_corrupted" },
};

static const struct sqlstate other = { "", ERR_PERMANENT, "pg_error" };

static int compare(const void *code, const void *row)
{
    return strcmp(code, ((const struct sqlstate *)row)->code);
}

static const struct sqlstate *find(const char *code)
{
    return bsearch(code, table, sizeof(table) / sizeof(*table), sizeof(*table), compare);
}

const struct sqlstate *pg_sqlstate_find(const char *code)
{
    const struct sqlstate *row = find(code);
    char class[6] = "00000";

    if (row == NULL && strlen(code) == 5) {
        memcpy(class, code, 2);
        row = find(class);
    }
    return row != NULL ? row : &other;
}

const struct sqlstate *pg_sqlstate_table(size_t *out_count)
{
    *out_count = sizeof(table) / sizeof(*table);
    return table;
}
