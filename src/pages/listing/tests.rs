#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::time::{Duration, Instant};

use super::*;
use crate::limits::LISTING_PIECE_BYTES;
use crate::site::directory::EntryMeta;

const NOTHING: Totals = Totals {
    directories: 0,
    files: 0,
    bytes: 0,
    more: 0,
    stopped_counting: false,
};

fn file(name: &[u8]) -> Entry<'_> {
    let meta = EntryMeta {
        is_directory: false,
        size: 1536,
        mtime: 951_782_400,
    };
    Entry { name, meta }
}

fn directory(name: &[u8]) -> Entry<'_> {
    let mut entry = file(name);
    entry.meta.is_directory = true;
    entry
}

fn of(path: &[u8], order: Order, sorts_by_value: bool, totals: Totals) -> ListingPage {
    ListingPage {
        path: path.into(),
        order,
        sorts_by_value,
        totals,
    }
}

fn page(path: &str, rows: &[Entry<'_>], totals: Totals) -> String {
    written(&of(path.as_bytes(), Order::default(), true, totals), rows)
}

fn written(page: &ListingPage, rows: &[Entry<'_>]) -> String {
    let mut out = String::new();
    page.head(&mut out).unwrap();
    for row in rows {
        page.row(row, &mut out).unwrap();
    }
    page.tail(&mut out).unwrap();
    out
}

fn links(page: &str) -> Vec<&str> {
    let parts = page.split("href=\"").skip(1);
    parts.map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn rows_are_plain_links_with_size_and_time() {
    let page = page("/a/", &[directory(b"sub"), file(b"x.tar.gz")], NOTHING);
    assert!(page.contains(
        "<tr><td><a href=\"sub/\">sub/</a></td><td></td><td>2000-02-29 00:00</td></tr>\n"
    ));
    assert!(page.contains(
        "<tr><td><a href=\"x.tar.gz\">x.tar.gz</a></td><td>1.5 KiB</td>\
         <td>2000-02-29 00:00</td></tr>\n"
    ));
    assert!(page.contains("<title>Index of /a/</title>"));
}

#[test]
fn no_name_becomes_markup_or_leads_elsewhere() {
    let names: [&[u8]; 14] = [
        b"<img src=x onerror=alert(1)>",
        b"javascript:alert(1)",
        b"a:b",
        b"http:",
        b"\" onmouseover=\"alert(1)",
        b"'quoted'",
        b"new\nline",
        b"\r\nSet-Cookie: x",
        b"...",
        b"..%2f..%2f",
        b"back\\slash",
        b"a\xff\xfeb",
        "photo\u{202e}gpj.exe".as_bytes(),
        b"</style><script>alert(1)</script>",
    ];
    let rows: Vec<Entry<'_>> = names
        .iter()
        .flat_map(|name| [file(name), directory(name)])
        .collect();
    // The same names in the path, as a directory of that name would have them.
    let mut path = vec![b'/'];
    for name in names {
        path.extend_from_slice(name);
        path.push(b'/');
    }
    let page = of(&path, Order::default(), true, NOTHING);
    let page = written(&page, &rows);
    for word in [
        "<img",
        "<script",
        "onmouseover=\"",
        "'quoted'",
        "\u{202e}",
        "\r",
        "javascript:alert(1)\"",
    ] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.contains("photo[U+202E]gpj.exe"));
    // Elements and attributes are only ours: as many tags as without names, plus those of rows and
    // crumbs.
    let tags = page.matches('<').count();
    assert_eq!(tags, page.matches('>').count() - count_in_style(&page, '>'));
    for link in links(&page) {
        let of_ours = link.starts_with("?sort=") || link.chars().all(|c| c == '.' || c == '/');
        let plain = link.strip_suffix('/').unwrap_or(link);
        assert!(
            of_ours
                || plain
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)),
            "{link}"
        );
    }
    assert!(links(&page).contains(&"javascript%3Aalert%281%29"));
    assert!(links(&page).contains(&"a%FF%FEb/"));
}

fn count_in_style(page: &str, character: char) -> usize {
    [PAGE_STYLE, LISTING_STYLE]
        .iter()
        .map(|style| {
            assert!(page.contains(style));
            style.matches(character).count()
        })
        .sum()
}

#[test]
fn crumbs_lead_up_to_the_root() {
    let page = page("/docs/a b/", &[], NOTHING);
    assert!(page.contains(
        "<h1>Index of <a href=\"../../\">/</a><a href=\"../\"><bdi>docs</bdi>/</a><wbr>\
         <a href=\"./\" aria-current=\"page\"><bdi>a b</bdi>/</a><wbr></h1>"
    ));
    assert!(page.contains("<a href=\"../\">Parent directory</a>"));
}

#[test]
fn the_root_has_no_parent() {
    let page = page("/", &[], NOTHING);
    assert!(page.contains("<h1>Index of <a href=\"./\" aria-current=\"page\">/</a></h1>"));
    assert!(!page.contains("../\">"));
}

#[test]
fn a_deep_path_has_a_bounded_head() {
    let path = "/x".repeat(2000) + "/";
    let page = of(path.as_bytes(), Order::default(), true, NOTHING);
    let mut head = String::new();
    page.head(&mut head).unwrap();
    assert!(head.len() < LISTING_PIECE_BYTES, "{}", head.len());
    assert!(head.contains("\u{2026}/<a href=\"../"));
    assert_eq!(head.matches("<bdi>").count(), LISTING_CRUMBS_MAX);
}

#[test]
fn columns_link_to_another_order() {
    let title = |sort, by_value| {
        let page = written(&of(b"/", sort, by_value, NOTHING), &[]);
        page.lines()
            .find(|line| line.contains("<th scope"))
            .unwrap()
            .to_owned()
    };
    let by_name = title(Order::default(), true);
    assert!(by_name.contains(
        "<th scope=\"col\" aria-sort=\"ascending\"><a href=\"?sort=name&amp;order=desc\""
    ));
    assert!(by_name.contains("\"?sort=size&amp;order=desc\""));
    assert!(by_name.contains("\"?sort=time&amp;order=desc\""));
    let by_size = title(
        Order {
            key: SortKey::Size,
            descending: true,
        },
        true,
    );
    assert!(by_size.contains("aria-sort=\"descending\"><a href=\"?sort=size&amp;order=asc\""));
    assert!(by_size.contains("\"?sort=name&amp;order=asc\""));
    assert_eq!(by_size.matches("aria-sort").count(), 1);
    let long = title(Order::default(), false);
    assert_eq!(links(&long), ["?sort=name&amp;order=desc"]);
}

#[test]
fn every_link_of_a_column_is_understood() {
    for key in [SortKey::Name, SortKey::Size, SortKey::Time] {
        for descending in [false, true] {
            let page = of(b"/", Order { key, descending }, true, NOTHING);
            let page = written(&page, &[]);
            let current: Vec<_> = page.split("aria-sort=\"").collect();
            let link = links(current[1])[0].replace("&amp;", "&");
            let query = ListingQuery::parse(link.trim_start_matches('?').as_bytes());
            assert_eq!(
                query.order,
                Order {
                    key,
                    descending: !descending
                }
            );
        }
    }
}

#[test]
fn queries() {
    let parse = |query: &str| ListingQuery::parse(query.as_bytes());
    let default = ListingQuery::default();
    for query in [
        "",
        "&",
        "sort",
        "sort=",
        "sort=colour",
        "order=up",
        "C=M&O=A",
        "jsonp",
        "v=1",
        "%73ort=size",
    ] {
        assert_eq!(parse(query), default, "{query}");
    }
    let by_size = Order {
        key: SortKey::Size,
        descending: true,
    };
    assert_eq!(parse("sort=size&order=desc").order, by_size);
    assert_eq!(
        parse("x=y&order=desc&json&sort=time&sort=size"),
        ListingQuery {
            order: by_size,
            json: true
        }
    );
    assert!(parse("json=1").json);
    assert_eq!(
        ListingQuery::parse(b"\xff&sort=size&order=desc").order,
        by_size
    );
}

#[test]
fn the_foot_adds_up() {
    let foot = |summary| {
        let page = page("/", &[], summary);
        page.split("</table>").nth(1).unwrap().to_owned()
    };
    assert!(foot(NOTHING).contains("<footer>This directory is empty."));
    let some = Totals {
        directories: 1,
        files: 1234,
        bytes: 4_404_019,
        ..NOTHING
    };
    assert!(foot(some).contains("<footer>1 directory, 1,234 files of 4.2 MiB <"));
    let one = Totals {
        files: 1,
        bytes: 5,
        ..NOTHING
    };
    assert!(foot(one).contains("<footer>1 file of 5 B <"));
    let more = Totals {
        more: 12_345,
        ..some
    };
    assert!(foot(more).contains("\u{2026} and 12,345 more that are not shown."));
    let even_more = Totals {
        stopped_counting: true,
        ..more
    };
    assert!(foot(even_more).contains("and at least 12,345 more"));
}

#[test]
fn fetches_nothing_and_needs_no_script() {
    let page = page("/a/", &[file(b"x")], NOTHING);
    for word in [
        "src=",
        "url(",
        "<script",
        "<link",
        "http-equiv",
        "<base",
        "<form",
        " style=",
        " on",
    ] {
        assert!(!page.contains(word), "{word}");
    }
}

/// Prints what a piece costs (`--nocapture`); the time is only asserted where the code is
/// optimised.
#[test]
fn a_piece_is_bounded_in_bytes_and_time() {
    let short = file(b"Report 00001 of the year.txt");
    let long = file(&[b'"'; 255]);
    for (what, row) in [("ordinary", short), ("hostile", long)] {
        let page = of(b"/", Order::default(), true, NOTHING);
        let mut fastest = Duration::MAX;
        let mut written = 0;
        let mut out = String::new();
        for _ in 0..20 {
            out.clear();
            written = 0;
            let begin = Instant::now();
            while out.len() < LISTING_PIECE_BYTES {
                page.row(&row, &mut out).unwrap();
                written += 1;
            }
            fastest = fastest.min(begin.elapsed());
        }
        println!("{what} rows: {written} in {} bytes, {fastest:?}", out.len());
        assert!(out.len() < LISTING_PIECE_BYTES + 4096);
        assert!(cfg!(debug_assertions) || fastest < Duration::from_millis(5));
    }
}

#[test]
fn minutes() {
    assert_eq!(Minute(2_147_483_648).to_string(), "2038-01-19 03:14");
    assert_eq!(Minute(i64::MAX).to_string(), "\u{2014}");
}

mod json {
    use super::*;

    fn row(name: &[u8], is_directory: bool) -> Entry<'_> {
        let meta = EntryMeta {
            is_directory,
            size: 5_000_000_000,
            mtime: 951_782_400,
        };
        Entry { name, meta }
    }

    fn whole(rows: &[Entry<'_>], totals: Totals) -> String {
        let mut out = String::new();
        let mut json = ListingJson::new(totals);
        json.head(&mut out).unwrap();
        for row in rows {
            json.row(row, &mut out).unwrap();
        }
        json.tail(&mut out).unwrap();
        out
    }

    #[test]
    fn a_file_and_a_directory() {
        assert_eq!(
            whole(&[row(b"a b\"c", false), row(b"x:y\xff", true)], NOTHING),
            "[\n{\"name\":\"a b\\\"c\",\"href\":\"a%20b%22c\",\"type\":\"file\",\
             \"size\":5000000000,\"mtime\":\"2000-02-29T00:00:00Z\"},\n\
             {\"name\":\"x:y\u{fffd}\",\"href\":\"x%3Ay%FF/\",\"type\":\"directory\",\
             \"size\":null,\"mtime\":\"2000-02-29T00:00:00Z\"}\n]\n"
        );
    }

    #[test]
    fn nothing_is_an_empty_array() {
        assert_eq!(whole(&[], NOTHING), "[\n]\n");
    }

    #[test]
    fn what_is_not_listed_is_told_at_the_end() {
        let totals = Totals { more: 7, ..NOTHING };
        assert_eq!(
            whole(&[], totals),
            "[\n{\"type\":\"more\",\"count\":7}\n]\n"
        );
        let one = whole(&[row(b"a", false)], totals);
        assert!(one.ends_with("\"},\n{\"type\":\"more\",\"count\":7}\n]\n"));
    }

    #[test]
    fn rows_are_bounded_and_stand_one_a_line() {
        let rows = vec![row(&[0xff; 255], false); 1000];
        let text = whole(&rows, NOTHING);
        assert_eq!(text.lines().count(), 1002);
        assert!(text.lines().all(|line| line.len() < 4096));
        assert_eq!(
            text.lines().filter(|line| line.ends_with("},")).count(),
            999
        );
    }
}
