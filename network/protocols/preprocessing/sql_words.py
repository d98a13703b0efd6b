"""The words of SQL that are let in.

None reads a file, a setting or a clock, changes anything, draws random numbers, fails on purpose, or makes much of little.
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PARTS = _words(
    """
    SELECT_NODE SET_OPERATION_NODE BASE_TABLE JOIN SUBQUERY EMPTY EXPRESSION_LIST
    DISTINCT_MODIFIER ORDER_MODIFIER LIMIT_MODIFIER LIMIT_PERCENT_MODIFIER
    ORDER_DEFAULT ORDER_ASCENDING ORDER_DESCENDING ASCENDING DESCENDING
    COLUMN_REF STAR VALUE_CONSTANT OPERATOR_CAST TYPE CASE_EXPR FUNCTION
    CONJUNCTION_AND CONJUNCTION_OR COMPARE_BETWEEN COMPARE_NOT_BETWEEN COMPARE_IN COMPARE_NOT_IN
    COMPARE_EQUAL COMPARE_NOTEQUAL COMPARE_LESSTHAN COMPARE_GREATERTHAN COMPARE_LESSTHANOREQUALTO
    COMPARE_GREATERTHANOREQUALTO COMPARE_DISTINCT_FROM COMPARE_NOT_DISTINCT_FROM
    OPERATOR_NOT OPERATOR_IS_NULL OPERATOR_IS_NOT_NULL OPERATOR_COALESCE OPERATOR_NULLIF OPERATOR_TRY GROUPING_FUNCTION
    WINDOW_AGGREGATE WINDOW_RANK WINDOW_RANK_DENSE WINDOW_NTILE WINDOW_PERCENT_RANK WINDOW_CUME_DIST WINDOW_ROW_NUMBER
    WINDOW_FIRST_VALUE WINDOW_LAST_VALUE WINDOW_NTH_VALUE WINDOW_LEAD WINDOW_LAG
    """
)

FUNCTIONS = _words(
    """
    + - * / // % ** ^ & | << >> ~ @ || ~~ !~~ ~~* !~~* ~~~ = != <> < <= > >=
    abs acos acosh asin asinh atan atan2 atanh cbrt ceil ceiling cos cosh cot degrees even exp fdiv floor fmod gamma
    gcd greatest greatest_common_divisor isfinite isinf isnan lcm least least_common_multiple lgamma ln log log10 log2
    mod nextafter pi pow power radians round round_even sign signbit sin sinh sqrt tan tanh trunc xor bit_count
    add subtract multiply divide
    ascii bit_length char_length character_length chr concat concat_ws contains ends_with hash instr lcase left length
    len like_escape not_like_escape ilike_escape not_ilike_escape lower ltrim md5 octet_length ord position prefix
    regexp_extract regexp_full_match regexp_matches regexp_replace replace reverse right rtrim sha1 sha256 split_part
    starts_with strip_accents strlen strpos substr substring suffix translate trim ucase unicode upper
    levenshtein damerau_levenshtein editdist3 hamming mismatches jaccard jaro_similarity jaro_winkler_similarity
    century date_add date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc day dayname dayofmonth
    dayofweek dayofyear decade epoch epoch_ms epoch_ns epoch_us era hour isodow isoyear julian last_day make_date
    make_time make_timestamp microsecond millennium millisecond minute month monthname quarter second strftime strptime
    time_bucket to_days to_hours to_microseconds to_milliseconds to_minutes to_months to_seconds to_timestamp to_weeks
    to_years try_strptime week weekday weekofyear year yearweek
    if ifnull nullif coalesce typeof constant_or_null
    any_value arbitrary arg_max arg_min argmax argmin avg bit_and bit_or bit_xor bool_and bool_or corr count count_if
    count_star countif covar_pop covar_samp entropy favg first fsum kahan_sum kurtosis kurtosis_pop last mad max max_by
    mean median min min_by mode product quantile quantile_cont quantile_disc regr_avgx regr_avgy regr_count
    regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy sem skewness stddev stddev_pop stddev_samp sum sumkahan
    var_pop var_samp variance
    cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank rank_dense row_number
    """
)

# Names that are functions where no column is called so: who is asking, and what time it is.
DISGUISED = _words(
    """
    current_catalog current_database current_date current_localtime current_localtimestamp current_role current_schema
    current_time current_timestamp current_user localtime localtimestamp session_user user
    """
)
