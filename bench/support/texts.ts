const WORDS =
  "the piano string hammer and of tuning pedal key felt a wood in sound board room air season is humid dry " +
  "winter pitch tension owner concert visit hour price not repair action damper bridge with pin iron frame to string";

/** SQL that fills the table `bench.texts` with so many titles and texts of about 600 characters, always the same. */
export function textsSql(rows: number): string {
  return `
    create schema bench;
    create table bench.texts as
    select
      md5(n::text)::uuid as id,
      'Document ' || n as title,
      (
        select string_agg(words[1 + (n * 7 + place * place * 13 + n / (place + 1)) % cardinality(words)], ' ' order by place)
        from generate_series(1, 110) as place
      ) as content
    from generate_series(1, ${rows}) as n, string_to_array('${WORDS}', ' ') as words;
    analyze bench.texts;
  `;
}

/** SQL that fills the table `bench.pages` with so many titles and texts of 1 to 6 sections, each of them one chunk. */
export function pagesSql(rows: number): string {
  return `
    create schema bench;
    create table bench.pages as
    select
      md5(n::text)::uuid as id,
      'Page ' || n as title,
      (
        select string_agg(format(E'## Part %s of page %s\\n\\n%s', section, n, sentence), E'\\n\\n' order by section)
        from generate_series(1, 1 + n % 6) as section
        cross join lateral (
          select string_agg(
            words[1 + (n * 7 + section * 17 + place * place * 13 + n / (place + section)) % cardinality(words)],
            ' ' order by place
          ) as sentence
          from generate_series(1, 110) as place
        ) as written
      ) as content
    from generate_series(1, ${rows}) as n, string_to_array('${WORDS}', ' ') as words;
    analyze bench.pages;
  `;
}
